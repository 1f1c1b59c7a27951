/** Requests for certificates: made so that OpenSSL takes them, and read as it makes them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign, createPublicKey } from 'node:crypto';
import { describe, it } from 'node:test';
import { subjectOf } from '../../test/support/signer.ts';
import { valuesIn } from './der.ts';
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

/** A value in DER, below 65,536 bytes. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
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

  it('names no servers when anything about that is not as it is to be', () => {
    const name = der(0x82, Buffer.from('a'));
    const extensionOf = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
    const alternativeName = oid('551d11');
    const octets = der(0x04, der(0x30, name));
    const askingFor = (...extensions: readonly Buffer[]): Buffer =>
      der(0x30, oid('2a864886f70d01090e'), der(0x31, der(0x30, ...extensions)));
    const good = extensionOf(alternativeName, octets);
    const asked = (...attributes: readonly Buffer[]): unknown => {
      const info = requestInfo({ commonName: 'a', organizations: [] }, keyDer);
      const parts = valuesIn(valuesIn(info)?.[0]?.content ?? Buffer.of())?.slice(0, 3) ?? [];
      const whole = der(0x30, ...parts.map((part) => Buffer.from(part.whole)), der(0xa0, ...attributes));
      const read = readCertificateRequest(requestPem(certificateRequest(whole, sign('sha256', whole, privateKey))));
      assert.equal(read?.hasExtensions, true);
      return read.serverNames?.dns;
    };
    assert.deepEqual(asked(askingFor(good)), ['a']);
    assert.deepEqual(asked(askingFor(extensionOf(alternativeName, der(0x01, Buffer.of(0xff)), octets))), ['a']);
    const namesOf = (...names: readonly Buffer[]): Buffer =>
      askingFor(extensionOf(alternativeName, der(0x04, der(0x30, ...names))));
    assert.deepEqual(asked(namesOf(name, der(0x87, Buffer.alloc(4)))), ['a']);
    for (const [about, ...attributes] of [
      ['two attributes', askingFor(good), askingFor(good)],
      ['an attribute of another form', der(0x31, oid('2a864886f70d01090e'), der(0x31, der(0x30, good)))],
      ['another attribute', der(0x30, oid('2a864886f70d010907'), der(0x31, der(0x30, good)))],
      [
        'a type that is none',
        der(0x30, der(0x04, Buffer.from('2a864886f70d01090e', 'hex')), der(0x31, der(0x30, good))),
      ],
      ['an attribute without values', der(0x30, oid('2a864886f70d01090e'))],
      ['values that are no set', der(0x30, oid('2a864886f70d01090e'), der(0x30, der(0x30, good)))],
      ['something behind the values', der(0x30, oid('2a864886f70d01090e'), der(0x31, der(0x30, good)), der(0x31))],
      ['two lists', der(0x30, oid('2a864886f70d01090e'), der(0x31, der(0x30, good), der(0x30, good)))],
      ['a list that is none', der(0x30, oid('2a864886f70d01090e'), der(0x31, der(0x31, good)))],
      ['no extension', askingFor()],
      ['two extensions', askingFor(good, good)],
      ['an extension of another form', askingFor(der(0x31, alternativeName, octets))],
      ['another extension', askingFor(extensionOf(oid('551d13'), octets))],
      ['an extension without a value', askingFor(extensionOf(alternativeName))],
      ['a value of another form', askingFor(extensionOf(alternativeName, der(0x03, der(0x30, name))))],
      ['two values', askingFor(extensionOf(alternativeName, octets, octets))],
      ['three', askingFor(extensionOf(alternativeName, der(0x01, Buffer.of(0xff)), octets, octets))],
      ['no names', namesOf()],
      ['two lists of names', askingFor(extensionOf(alternativeName, der(0x04, der(0x30, name), der(0x30, name))))],
      ['names that are no list', askingFor(extensionOf(alternativeName, der(0x04, der(0x31, name))))],
      ['a name of another kind', namesOf(name, der(0x81, Buffer.from('a@b')))],
      ['an address of five bytes', namesOf(name, der(0x87, Buffer.alloc(5)))],
      ['a name that ends too early', namesOf(Buffer.of(0x82, 5, 0x61))],
    ] as const)
      assert.equal(asked(...attributes), undefined, about);
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
