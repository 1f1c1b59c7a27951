/** Who is given a registry's credentials: every way in which somebody asks for them, on a network in memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryMachine, type EndpointResponse } from '../../../host/memory/machine.ts';
import type { HttpExchange } from '../../../host/port.ts';
import { toBase64, bytesOf, textOf } from '../../../model/bytes.ts';
import { createHttpClient } from '../http-client.ts';
import { authorizedClient } from './authorization.ts';
import type { Credentials } from './credentials.ts';

const registry = 'registry.example';
const password: Credentials = { type: 'password', username: 'me', password: 'the-password' };
const refreshToken: Credentials = { type: 'token', token: 'the-refresh-token' };
const secrets = ['the-password', 'the-refresh-token', toBase64(bytesOf('me:the-password')), 'the-access-token'];
const ownRealm = 'Bearer realm="https://tokens.example/t",service="s",scope="x"';
const foreignRealm = 'Bearer realm="https://evil.example/t",service="s",scope="x"';
const to = (location: string, status = 302): EndpointResponse => ({ status, headers: { location } });
const challenge = (header: string): EndpointResponse => ({ status: 401, headers: { 'www-authenticate': header } });

interface Case {
  readonly name: string;
  readonly credentials: Credentials;
  /** What the registry answers who is not logged in, and who is. */
  readonly first: EndpointResponse;
  readonly second?: EndpointResponse;
  /** What somebody else asks for. */
  readonly elsewhere?: string;
  readonly tokens?: EndpointResponse;
  readonly ends: 200 | 'NK_REGISTRY_DENIED' | 'NK_SOURCE_UNAVAILABLE';
  /** Origins that saw any of the secrets. */
  readonly told: readonly string[];
}

const own = `https://${registry}`;
const tokens = 'https://tokens.example';
const cases: readonly Case[] = [
  { name: 'the registry, Basic', credentials: password, first: challenge('Basic realm="r"'), ends: 200, told: [own] },
  { name: 'the registry, Bearer', credentials: password, first: challenge(ownRealm), ends: 200, told: [tokens, own] },
  {
    name: 'the registry, refresh token',
    credentials: refreshToken,
    first: challenge(ownRealm),
    ends: 200,
    told: [tokens, own],
  },
  ...['https://cdn.example/b', '//cdn.example/b', `https://${registry}:8443/b`].flatMap((location) =>
    [301, 302, 303, 307, 308].flatMap((status): Case[] =>
      [password, refreshToken].flatMap((credentials): Case[] =>
        ['Basic realm="r"', foreignRealm, ownRealm, 'Basic realm="r", ' + foreignRealm].map((elsewhere): Case => ({
          name: `where a ${status} of the registry leads: ${location}, ${credentials.type}, ${elsewhere}`,
          credentials,
          first: to(location, status),
          elsewhere,
          ends: 'NK_REGISTRY_DENIED',
          told: [],
        })),
      ),
    ),
  ),
  {
    name: 'where the registry leads who is logged in',
    credentials: password,
    first: challenge('Basic realm="r"'),
    second: to('https://cdn.example/b'),
    elsewhere: foreignRealm,
    ends: 'NK_REGISTRY_DENIED',
    told: [own],
  },
  {
    name: 'where the token service leads, password',
    credentials: password,
    first: challenge(ownRealm),
    tokens: to('https://cdn.example/b'),
    elsewhere: 'Basic realm="r"',
    ends: 'NK_REGISTRY_DENIED',
    told: [tokens],
  },
  ...[301, 302, 303, 307, 308].map((status): Case => ({
    name: `where the token service leads by ${status}, refresh token`,
    credentials: refreshToken,
    first: challenge(ownRealm),
    tokens: to('https://cdn.example/b', status),
    ends: 'NK_SOURCE_UNAVAILABLE',
    told: [tokens],
  })),
  {
    name: 'a token service without TLS',
    credentials: password,
    first: challenge('Bearer realm="http://tokens.example/t"'),
    ends: 'NK_REGISTRY_DENIED',
    told: [],
  },
];

describe('the credentials of a registry', () => {
  for (const { name, credentials, first, second, elsewhere, tokens: answers, ends, told } of cases) {
    it(`and ${name}`, async () => {
      const machine = createMemoryMachine();
      const seen: HttpExchange[] = [];
      const serve = (origin: string, answer: (request: HttpExchange) => EndpointResponse): void =>
        void machine.serve(origin, (request) => {
          seen.push(request);
          return answer(request);
        });
      serve(own, ({ headers }) => (headers?.['authorization'] ? (second ?? { body: 'here' }) : first));
      serve(tokens, () => answers ?? { body: JSON.stringify({ token: 'the-access-token' }) });
      for (const origin of ['https://cdn.example', `${own}:8443`])
        serve(origin, () => (elsewhere === undefined ? { body: 'here' } : challenge(elsewhere)));
      serve('https://evil.example', () => ({ body: JSON.stringify({ token: 'theirs' }) }));
      serve('http://tokens.example', () => ({ body: JSON.stringify({ token: 'theirs' }) }));

      const client = authorizedClient({
        client: createHttpClient(machine.open()),
        registry,
        credentials: async () => credentials,
        plainHttp: false,
      });
      const asked = client.request(`${own}/v2/a`, { timeoutMs: 1_000 });
      if (ends === 200) assert.equal((await asked).status, ends);
      else await assert.rejects(asked, { code: ends });
      const heard = seen.filter((request) => secrets.some((secret) => shownTo(request).includes(secret)));
      assert.deepEqual([...new Set(heard.map(({ url }) => new URL(url).origin))], told);
    });
  }
});

function shownTo({ url, headers, body = '' }: HttpExchange): string {
  return `${url} ${JSON.stringify(headers)} ${typeof body === 'string' ? body : textOf(body)}`;
}
