/**
 * Asks an API server for its version: GET /version over TLS, with a client certificate or a token. No redirects, no
 * retries, 64 KiB at most.
 *
 * Errors: NK_TIMEOUT after the deadline, NK_SOURCE_UNAVAILABLE for everything else that goes wrong. What the server
 * answered is not quoted, and credentials never appear.
 */
import type { IncomingMessage } from 'node:http';
import { looseObject, nullish, string } from 'zod/mini';
import { NodekilnError } from '../errors.ts';
import type { ApiServer } from './kubeconfig.ts';
import { isMinorOfVersion } from '../model/minor.ts';

const maxBytes = 64 * 1024;
const schema = looseObject({ gitVersion: nullish(string()), major: nullish(string()), minor: nullish(string()) });

/** `v1.31.1+k3s1`, as the server says it. */
export async function serverVersion(api: ApiServer, timeoutMs: number): Promise<string> {
  const url = new URL(`${api.server.replace(/\/+$/, '')}/version`);
  const where = `${url.protocol}//${url.host}`;
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    const response = await open(url, api, deadline);
    const body = await receive(response);
    return versionIn(body, response.statusCode ?? 0);
  } catch (thrown) {
    if (deadline.aborted)
      throw new NodekilnError('NK_TIMEOUT', `no answer from the API server ${where} within ${timeoutMs} ms`, {
        cause: thrown,
      });
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const refused = thrown instanceof Refused;
    throw new NodekilnError(
      'NK_SOURCE_UNAVAILABLE',
      `the API server ${where} ${refused ? why : `cannot be asked: ${why}`}`,
      {
        ...(!refused && { cause: thrown }),
        hint: 'Check the server, its CA and the credentials in the kubeconfig, or give --cluster-version.',
      },
    );
  }
}

class Refused extends Error {}

async function open(url: URL, api: ApiServer, signal: AbortSignal): Promise<IncomingMessage> {
  const { request } = await import('node:https');
  return new Promise((resolve, reject) => {
    request(url, {
      signal,
      agent: false,
      headers: {
        accept: 'application/json',
        'user-agent': 'nodekiln',
        ...(api.token !== undefined && { authorization: `Bearer ${api.token}` }),
      },
      ...(api.ca !== undefined && { ca: api.ca }),
      ...(api.serverName !== undefined && { servername: api.serverName }),
      ...api.clientCertificate,
    })
      .once('response', resolve)
      .once('error', reject)
      .end();
  });
}

async function receive(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBytes) {
      response.destroy();
      throw new Refused(`answered with more than ${maxBytes} bytes`);
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function versionIn(body: string, status: number): string {
  if (status === 401 || status === 403) throw new Refused(`does not accept the credentials (status ${status})`);
  if (status !== 200) throw new Refused(`answered with status ${status}`);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Refused('answered with what is not JSON');
  }
  const { data } = schema.safeParse(value);
  const version = data?.gitVersion ?? `${data?.major ?? ''}.${data?.minor ?? ''}`;
  if (!isMinorOfVersion(version)) throw new Refused('answered without a version');
  return version;
}
