/** In the place of sigstore's library, which stands on more of Node than is here. */
const missing = (): never => {
  throw new Error('signatures by identity cannot be checked by this host program');
};

export const TrustedRoot = { fromJSON: missing };
export const bundleFromJSON = missing;
export const toSignedEntity = missing;
export const toTrustMaterial = missing;
export const Verifier = missing;
