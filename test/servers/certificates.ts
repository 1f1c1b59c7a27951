/**
 * Certificates for tests, of any authority and of any time, made with OpenSSL; keys are of the curve P-256. `openssl ca`
 * everywhere: `x509` cannot date back before OpenSSL 3.4.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../lab/run.ts';
import { ensurePrograms } from './programs.ts';

/** Paths of a certificate and its key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** `/O=system:nodes/CN=system:node:a`; what is given several times is there several times. */
  readonly subject: string;
  /** Alternative names as OpenSSL writes them: `IP:127.0.0.1`, `DNS:localhost`. */
  readonly names?: readonly string[];
  /** Default: a minute ago. */
  readonly notBefore?: Date;
  /** Default: in two days. */
  readonly notAfter?: Date;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

async function openssl(folder: string, ...args: readonly string[]): Promise<void> {
  await ensurePrograms([{ program: 'openssl', package: 'openssl', why: 'makes certificates' }]);
  await mkdir(folder, { recursive: true });
  await run(['openssl', ...args], { cwd: folder });
}

/** An authority that nobody trusts yet: `NAME.pem` and `NAME.key` in a folder. */
export async function makeAuthority(folder: string, name: string): Promise<KeyPair> {
  const authority = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const output = ['-keyout', authority.key, '-out', authority.certificate];
  await openssl(folder, 'req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`, ...output);
  return authority;
}

/** A certificate for servers and clients: `NAME.pem` and `NAME.key` in a folder. */
export async function issueCertificate(
  folder: string,
  name: string,
  authority: KeyPair,
  options: CertificateOptions,
): Promise<KeyPair> {
  const { subject, names = [] } = options;
  const notBefore = options.notBefore ?? new Date(Date.now() - minuteMs);
  const notAfter = options.notAfter ?? new Date(Date.now() + 2 * dayMs);
  const issued = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const at = (end: string): string => join(folder, `${name}.${end}`);
  const [request, database, settings] = [at('csr'), at('database'), at('cnf')];
  await openssl(folder, 'req', ...newKey, '-subj', subject, '-keyout', issued.key, '-out', request);
  await writeFile(database, '');
  await writeFile(
    settings,
    `[ca]
default_ca=own
[own]
database=${database}
new_certs_dir=${folder}
certificate=${authority.certificate}
private_key=${authority.key}
rand_serial=yes
default_md=sha256
policy=any
x509_extensions=extensions
[any]
commonName=supplied
[extensions]
basicConstraints=CA:FALSE
keyUsage=digitalSignature
extendedKeyUsage=serverAuth,clientAuth
${names.length > 0 ? `subjectAltName=${names.join(',')}\n` : ''}`,
  );
  const times = ['-startdate', opensslTime(notBefore), '-enddate', opensslTime(notAfter)];
  const files = ['-config', settings, '-in', request, '-out', issued.certificate];
  await openssl(folder, 'ca', '-batch', '-notext', '-preserveDN', ...times, ...files);
  return issued;
}

/** `20200101000000Z` */
function opensslTime(date: Date): string {
  return `${date.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')}Z`;
}
