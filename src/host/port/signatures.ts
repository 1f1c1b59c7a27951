/**
 * The port's signatures: what takes arithmetic that a host program has at hand. What must be signed by whom, and where
 * signatures are, is the callers'; so is the form of what is signed. Keys and certificates are PEM, bundles and roots
 * JSON, as they are published.
 */

/** Content, and a signature that a key is said to have made over it. */
export interface SignatureByKey {
  readonly key: string;
  readonly content: Uint8Array;
  /** DER for ECDSA. */
  readonly signature: Uint8Array;
}

/** A bundle, and the identity that is said to have made it. */
export interface SignatureByIdentity {
  /** A sigstore bundle: signature, certificate, entry in the transparency log. */
  readonly bundle: string;
  /** What a bundle with a message signature is over; absent for one with a statement inside. */
  readonly content?: Uint8Array;
  /** A sigstore trusted root: the authorities and logs that count. */
  readonly trustedRoot: string;
  /** A regular expression for the certificate's subject alternative name, anchored by whoever wrote it. */
  readonly identity: string;
  readonly issuer: string;
}

/** Nothing here asks anybody: what counts is in what is given. */
export interface Signatures {
  /** A new private key, PKCS #8 in PEM: ECDSA on P-256, as kubelet makes them. A secret. */
  newKey(): Promise<string>;
  /** SubjectPublicKeyInfo, DER; undefined when the text is no private key. */
  publicKeyOf(privateKey: string): Promise<Uint8Array | undefined>;
  /** By a key of `newKey`: ECDSA over SHA-256, DER. */
  sign(privateKey: string, content: Uint8Array): Promise<Uint8Array>;
  /** ECDSA and RSA (PKCS #1) over SHA-256, Ed25519. `no-key`: the text is no public key. */
  byKey(signed: SignatureByKey): Promise<'good' | 'bad' | 'no-key'>;
  /**
   * Whether the first certificate of a chain was signed by one of these authorities, or by the next of the chain, of which the
   * same holds. Times are not looked at. Both PEM.
   */
  issuedBy(chain: string, authorities: string): Promise<boolean>;
  /**
   * The certificate must come from an authority of the root and be known to one of its certificate logs, the signature be
   * in one of its transparency logs at a time when the certificate held. Undefined when the signature counts, else why not.
   */
  byIdentity(signed: SignatureByIdentity): Promise<string | undefined>;
}
