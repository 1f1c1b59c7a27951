/** The agent's certificate as it lies on the disk, and whether it is one to show. */
import type { Host } from '../host/port.ts';
import { agentUser } from '../model/agent-identity.ts';
import { textOf } from '../model/bytes.ts';
import { certificatesIn } from '../model/certificate.ts';
import { agentCertificatePath } from './identity.ts';

/** Of this node, and with its key. */
export interface OwnCertificate {
  /** Certificate, chain and key. */
  readonly pem: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Undefined when there is none, or none of this node's, or none that the key beside it is of. It may have expired. */
export async function readOwnCertificate(
  { files, signatures }: Pick<Host, 'files' | 'signatures'>,
  nodeName: string,
): Promise<OwnCertificate | undefined> {
  const content = await files.read(agentCertificatePath);
  const pem = content && textOf(content);
  const [certificate] = certificatesIn(pem ?? '') ?? [];
  if (pem === undefined || certificate?.commonName !== agentUser(nodeName)) return undefined;
  const [key = ''] = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----/.exec(pem) ?? [];
  const publicKey = await signatures.publicKeyOf(key);
  if (!publicKey || !isSame(publicKey, certificate.publicKey)) return undefined;
  const { notBefore, notAfter } = certificate;
  return { pem, notBefore, notAfter };
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
