/** What is asked of Node and of the host program alike: which signatures count, and why the others do not. */
import { createLinuxHost } from '../../src/host/linux/host.ts';

export interface Signed {
  readonly identities: readonly {
    readonly bundle: string;
    /** Base64. */
    readonly content: string;
    readonly trustedRoot: string;
    readonly identity: string;
    readonly issuer: string;
  }[];
}

/** `undefined` as "good". */
export async function verdicts({ identities }: Signed): Promise<string[]> {
  const { signatures } = createLinuxHost();
  return Promise.all(
    identities.map(
      async ({ content, ...signed }) =>
        (await signatures.byIdentity({ ...signed, content: Buffer.from(content, 'base64') })) ?? 'good',
    ),
  );
}
