/** Signatures of a machine in memory: arithmetic is the same everywhere, and takes none of its time. */
import { createSignatures } from '../linux/signatures.ts';
import type { Signatures } from '../port.ts';
import type { MemoryClock } from './clock.ts';

export function createMemorySignatures(clock: MemoryClock): Signatures {
  const own = createSignatures();
  return {
    newKey: () => clock.outside(own.newKey()),
    publicKeyOf: (privateKey) => clock.outside(own.publicKeyOf(privateKey)),
    sign: (privateKey, content) => clock.outside(own.sign(privateKey, content)),
    byKey: (signed) => clock.outside(own.byKey(signed)),
    issuedBy: (chain, authorities) => clock.outside(own.issuedBy(chain, authorities)),
    byIdentity: (signed) => clock.outside(own.byIdentity(signed)),
  };
}
