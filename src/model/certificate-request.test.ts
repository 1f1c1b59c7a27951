/** Requests for certificates: made so that OpenSSL takes them, and read as it makes them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign, createPublicKey } from 'node:crypto';
import { describe, it } from 'node:test';
import { subjectOf } from '../../test/support/signer.ts';
import { certificateRequest, readCertificateRequest, requestInfo, requestPem } from './certificate-request.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKey = createPublicKey(privateKey);
const keyDer = publicKey.export({ type: 'spki', format: 'der' });

function made(commonName: string, organizations: readonly string[]): string {
  const info = requestInfo({ commonName, organizations }, keyDer);
  return requestPem(certificateRequest(info, sign('sha256', info, privateKey)));
}

/** By OpenSSL. */
function theirs(...args: readonly string[]): string {
  const all = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  return execFileSync('openssl', [...all, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

describe('a certificate request', () => {
  for (const [name, organizations] of [
    ['nodekiln:node-agent:node-1', ['nodekiln:node-agents']],
    // Lengths of two and three bytes.
    [`n${'o'.repeat(130)}`, ['a', 'b']],
    ['ä', []],
  ] as const) {
    it(`of ${name.slice(0, 30)} is taken by OpenSSL, and read as it was made`, () => {
      const pem = made(name, organizations);
      const subject = subjectOf(pem);
      if (/^[\x20-\x7e]*$/.test(name)) assert.ok(subject.includes(`CN=${name}`), subject);
      for (const one of organizations) assert.ok(subject.includes(`O=${one}`), subject);
      const read = readCertificateRequest(pem);
      assert.deepEqual(read && [read.commonName, read.organizations], [name, organizations]);
      assert.deepEqual(read && [read.hasOtherNames, read.hasExtensions], [false, false]);
      assert.equal(read?.publicKey, publicKey.export({ type: 'spki', format: 'pem' }));
    });
  }

  it('of OpenSSL is read', () => {
    const read = (...args: readonly string[]): unknown => {
      const { commonName, organizations, hasOtherNames, hasExtensions } = readCertificateRequest(theirs(...args)) ?? {};
      return [commonName, organizations, hasOtherNames, hasExtensions];
    };
    assert.deepEqual(read('-subj', '/O=a/O=b/CN=c'), ['c', ['a', 'b'], false, false]);
    assert.deepEqual(read('-subj', '/O=a/CN=c/CN=d'), ['c', ['a'], true, false]);
    assert.deepEqual(read('-subj', '/C=DE/CN=c'), ['c', [], true, false]);
    assert.deepEqual(read('-subj', '/CN=c', '-addext', 'subjectAltName=DNS:x'), ['c', [], false, true]);
    assert.deepEqual(read('-subj', '/'), ['', [], false, false]);
  });

  it('names servers when it asks for that and nothing else', () => {
    const names = (...extensions: readonly string[]): unknown => {
      const added = extensions.flatMap((extension) => ['-addext', extension]);
      const { serverNames, hasExtensions } =
        readCertificateRequest(theirs('-subj', '/O=system:nodes/CN=system:node:a', ...added)) ?? {};
      assert.equal(hasExtensions, extensions.length > 0);
      return serverNames && [serverNames.dns, serverNames.addresses.map((address) => [...address].join('.'))];
    };
    assert.deepEqual(names('subjectAltName=DNS:a,DNS:b,IP:10.0.0.1'), [['a', 'b'], ['10.0.0.1']]);
    assert.deepEqual(names('subjectAltName=critical,IP:::1'), [[], [`${'0.'.repeat(15)}1`]]);
    for (const other of [
      'subjectAltName=DNS:a,email:a@b.c',
      'subjectAltName=URI:https://a',
      'basicConstraints=CA:TRUE',
    ])
      assert.equal(names(other), undefined, other);
    assert.equal(names('subjectAltName=DNS:a', 'basicConstraints=CA:TRUE'), undefined);
    assert.equal(names(), undefined);
  });

  it('that is none is refused, whatever it is', () => {
    const good = made('a', ['b']);
    const der = Buffer.from(good.replaceAll(/-----[^-]*-----|\s/g, ''), 'base64');
    const pemOf = (bytes: Buffer): string =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    assert.ok(readCertificateRequest(pemOf(der)));
    for (const text of ['', 'x', good + good, good.replace('CERTIFICATE REQUEST', 'CERTIFICATE'), pemOf(Buffer.of())])
      assert.equal(readCertificateRequest(text), undefined);
    for (let length = 0; length < der.length; length++)
      assert.equal(readCertificateRequest(pemOf(der.subarray(0, length))), undefined, `${length} bytes`);
    assert.equal(readCertificateRequest(pemOf(Buffer.concat([der, Buffer.of(0x05, 0x00)]))), undefined);
    for (let at = 0; at < der.length; at++) {
      const broken = Buffer.from(der);
      broken[at] = (broken[at] ?? 0) ^ 0xff;
      // Read or not: it must not throw, and not be endless.
      readCertificateRequest(pemOf(broken));
    }
  });
});
