import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { certificatesIn } from './certificate.ts';
import { fromBase64, toBase64 } from './bytes.ts';

const scratch = mkdtempSync(join(tmpdir(), 'nodekiln-certificate-'));
after(() => rmSync(scratch, { recursive: true }));

/** Made by openssl, with its start and end as given. */
function made(subject: string, ...more: readonly string[]): string {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  const file = join(scratch, 'made.pem');
  execFileSync('openssl', ['req', '-x509', ...key, '-subj', subject, '-out', file, ...more], { stdio: 'pipe' });
  return readFileSync(file, 'utf8');
}

/** What openssl reads in it. */
function dates(pem: string): number[] {
  const text = execFileSync('openssl', ['x509', '-noout', '-dates'], { input: pem, encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .map((line) => Date.parse(line.replace(/^.*=/, '')));
}

const node = made('/O=system:nodes/O=others/CN=system:node:node-1');

describe('a certificate', () => {
  it('says whose it is and how long it holds', () => {
    const [notBefore, notAfter] = dates(node);
    const publicKey = execFileSync('openssl', ['x509', '-noout', '-pubkey'], { input: node, encoding: 'utf8' });
    const organizations = ['system:nodes', 'others'];
    assert.deepEqual(
      certificatesIn(node)?.map((one) => ({ ...one, publicKey: toBase64(one.publicKey) })),
      [
        {
          commonName: 'system:node:node-1',
          organizations,
          notBefore,
          notAfter,
          publicKey: publicKey.replaceAll(/-----[A-Z ]+-----|\n/g, ''),
        },
      ],
    );
  });

  it('may hold beyond 2049, where the form of times changes', () => {
    const pem = made('/CN=long', '-days', '14600');
    assert.deepEqual(
      certificatesIn(pem)?.map(({ notAfter }) => notAfter),
      dates(pem).slice(1),
    );
    assert.ok((certificatesIn(pem)?.[0]?.notAfter ?? 0) > Date.UTC(2050, 0));
  });

  it('may have no common name', () => {
    assert.equal(certificatesIn(made('/O=only'))?.[0]?.commonName, '');
  });

  it('stands among others, with text between them and a key beside them', () => {
    const pem = `# one\n${node}\n# two\n${made('/CN=two')}-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n`;
    assert.deepEqual(
      certificatesIn(pem)?.map(({ commonName }) => commonName),
      ['system:node:node-1', 'two'],
    );
  });
});

describe('no certificate', () => {
  const block = (der: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${toBase64(der)}\n-----END CERTIFICATE-----\n`;
  const der = fromBase64(node.replaceAll(/-----[A-Z ]+-----/g, ''));

  it('is what is cut at any byte', () => {
    for (let size = 0; size < der.length; size += 1)
      assert.equal(certificatesIn(block(der.subarray(0, size))), undefined, `${size} bytes`);
    assert.ok(certificatesIn(block(der)));
  });

  it('is a certificate with something behind it', () => {
    assert.equal(certificatesIn(block(Uint8Array.of(...der, 0x05, 0x00))), undefined);
  });

  for (const [name, pem] of [
    ['nothing', ''],
    ['text', 'not a certificate'],
    ['text in the form of one', '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n'],
    ['one after which another begins', `${node}-----BEGIN CERTIFICATE-----\nAAAA\n`],
    ['a length that is not definite', block(Uint8Array.of(0x30, 0x80, 0, 0))],
    ['a length that no memory has', block(Uint8Array.of(0x30, 0x88, 255, 255, 255, 255, 255, 255, 255, 255))],
  ] as const) {
    it(`is ${name}`, () => assert.equal(certificatesIn(pem), undefined));
  }
});
