/** Of `node:tls` what the shared sources use: what is trusted and who we are, as PEM. */
export interface SecureContext {
  /** The machine's own authorities unless given. */
  readonly ca?: string | readonly string[];
  readonly cert?: string;
  readonly key?: string;
}

export const createSecureContext = (context: SecureContext): SecureContext => context;

/** Those of the machine are the host program's own to find. */
export const getCACertificates = (): string[] => [];
