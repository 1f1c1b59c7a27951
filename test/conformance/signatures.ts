/** What the arithmetic of every host must do: keys, and signatures by them. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { bytesOf, toBase64 } from '../../src/model/bytes.ts';
import type { Expectation } from './host.ts';

function pem(kind: string, der: Uint8Array): string {
  return `-----BEGIN ${kind}-----\n${toBase64(der)}\n-----END ${kind}-----\n`;
}

export const signatures: Expectation[] = [
  {
    name: 'a new key signs what its public half confirms, and nothing else',
    needs: 'signatures',
    check: async ({ host }) => {
      const [key, other] = await Promise.all([host.signatures.newKey(), host.signatures.newKey()]);
      assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/);
      assert.notEqual(key, other);
      const publicKey = await host.signatures.publicKeyOf(key);
      assert.ok(publicKey);
      const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({
        key: Buffer.from(publicKey),
        format: 'der',
        type: 'spki',
      });
      assert.deepEqual([asymmetricKeyType, asymmetricKeyDetails?.namedCurve], ['ec', 'prime256v1']);
      const content = bytesOf('what is signed');
      const signature = await host.signatures.sign(key, content);
      const byKey = { key: pem('PUBLIC KEY', publicKey), signature };
      assert.equal(await host.signatures.byKey({ ...byKey, content }), 'good');
      assert.equal(await host.signatures.byKey({ ...byKey, content: bytesOf('what is not') }), 'bad');
      assert.equal(await host.signatures.publicKeyOf('no key'), undefined);
    },
  },
];
