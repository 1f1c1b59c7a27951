/** Signatures by identity count in the host program when, and only when, they do in Node: the same library over other arithmetic. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServices, identity, issuer, signKeyless, type Services } from '../support/sigstore.ts';
import { buildNative } from './native.ts';
import { verdicts, type Signed } from './signature-cases.ts';

type Case = Signed['identities'][number];

const content = Buffer.from('what is signed');
const exactly = (text: string): string => `^${text.replaceAll(/[.?]/g, '\\$&')}$`;

async function signed({ trustedRoot, ...services }: Services): Promise<Case> {
  const { certificate, signature, entry } = await signKeyless(services, content);
  if (!entry) throw new Error('not logged');
  const bundle = {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      x509CertificateChain: { certificates: [{ rawBytes: certificate.replaceAll(/-----.*-----|\s/g, '') }] },
      tlogEntries: [
        {
          logIndex: String(entry.logIndex),
          logId: { keyId: Buffer.from(entry.logID, 'hex').toString('base64') },
          kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
          integratedTime: String(entry.integratedTime),
          inclusionPromise: { signedEntryTimestamp: entry.verification.signedEntryTimestamp },
          canonicalizedBody: entry.body,
        },
      ],
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: createHash('sha256').update(content).digest('base64') },
      signature,
    },
  };
  const base64 = content.toString('base64');
  return { bundle: JSON.stringify(bundle), content: base64, trustedRoot, identity: exactly(identity), issuer };
}

/** With one bit changed in each of the base64 texts of some length, at some places. */
function* spoilt(one: Case, key: 'bundle' | 'trustedRoot'): Generator<Case> {
  for (const [base64 = ''] of one[key].matchAll(/(?<=")[A-Za-z0-9+/]{40,}={0,2}(?=")/g))
    for (const share of [0, 0.2, 0.5, 0.8, 0.99]) {
      const bytes = Buffer.from(base64, 'base64');
      const at = Math.floor(bytes.length * share);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (Math.floor(share * 8) % 8));
      yield { ...one, [key]: one[key].replace(base64, bytes.toString('base64')) };
    }
}

describe('signatures by identity', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodekiln-native-'));
  after(() => rmSync(folder, { recursive: true }));
  const named = new Map<string, Case>();
  let told: string[];
  let expected: string[];
  before(async () => {
    const [ours, others] = [await createServices(), await createServices()];
    const good = await signed(ours);
    for (const [name, one] of Object.entries({
      good,
      'another identity': { ...good, identity: exactly('https://github.example/team/kubelet') },
      'another issuer': { ...good, issuer: `${issuer}.evil` },
      'another authority': { ...good, trustedRoot: others.trustedRoot },
      'another log': await signed({ ...ours, tLog: others.tLog }),
      'other content': { ...good, content: 'b3RoZXI=' },
      'a time before the certificate': {
        ...good,
        bundle: good.bundle.replace(/"integratedTime":"\d+"/, '"integratedTime":"1000000000"'),
      },
      'no entry in a log': { ...good, bundle: good.bundle.replace(/"tlogEntries":\[.*?\]/, '"tlogEntries":[]') },
      'no root': { ...good, trustedRoot: '{}' },
      'no bundle': { ...good, bundle: '{}' },
    }))
      named.set(name, one);
    const spoiltOnes = [...spoilt(good, 'bundle'), ...spoilt(good, 'trustedRoot')];
    spoiltOnes.forEach((one, index) => named.set(`spoilt ${index}`, one));
    const cases: Signed = { identities: [...named.values()] };
    const [program, file] = [join(folder, 'program'), join(folder, 'cases.json')];
    buildNative('polyfills.ts', program);
    writeFileSync(file, JSON.stringify(cases));
    told = JSON.parse(execFileSync(program, ['signatures', file], { encoding: 'utf8', maxBuffer: 2 ** 26 }));
    expected = await verdicts(cases);
  });

  test('are told as Node tells them', () => {
    const names = [...named.keys()];
    assert.ok(names.length > 40, `${names.length}`);
    assert.equal(expected[0], 'good');
    // What an engine says of a value that is not there is its own, and what OpenSSL says of a key.
    const own = /^(?:Cannot|cannot|undefined|null|Invalid|Failed to read|error:)/;
    for (const [index, name] of names.entries())
      if (own.test(expected[index] ?? '')) assert.notEqual(told[index], 'good', name);
      else assert.equal(told[index], expected[index], name);
  });

  test('count only when nothing is wrong', () => {
    const good = [...named.keys()].filter((_, index) => told[index] === 'good' && index > 0);
    assert.deepEqual(
      good,
      [...named.keys()].filter((_, index) => expected[index] === 'good' && index > 0),
    );
    assert.equal(
      [...named.keys()].slice(1, 10).some((name) => good.includes(name)),
      false,
    );
  });
});
