/**
 * OpenPGP signatures of repositories and packages, by gpgv: the program apt itself trusts for this, in its machine-readable
 * form (`--status-fd`, GnuPG's doc/DETAILS). A signature counts when it is good, made by one of the keys given, neither
 * expired nor revoked (the key's state counts, too), with a digest that is not weak.
 *
 * Errors: NK_SIGNATURE with what was found, NK_TOOL_MISSING.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NodekilnError, errnoOf } from '../../../errors.ts';

export interface SignedText {
  /** What is signed, for messages. */
  readonly what: string;
  /** Paths of keyrings or key files, or armoured keys. */
  readonly keys: readonly string[];
  /** A folder for temporary files. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

export interface Detached extends SignedText {
  readonly content: Uint8Array;
  readonly signature: Uint8Array;
}

export interface ClearSigned extends SignedText {
  readonly content: Uint8Array;
}

/** Returns when the signature counts. */
export async function verifyDetached(signed: Detached): Promise<void> {
  await inFolder(signed.folder, async (folder) => {
    const [content, signature] = [join(folder, 'content'), join(folder, 'signature')];
    await writeFile(content, signed.content);
    await writeFile(signature, withoutArmour(signed.signature, 'SIGNATURE'));
    judge(await gpgv(['--keyring', await keyring(signed, folder), signature, content], signed), signed);
  });
}

/** The text inside the signature, and nothing of what stands around it. */
export async function verifyClearSigned(signed: ClearSigned): Promise<Buffer> {
  return inFolder(signed.folder, async (folder) => {
    const [content, output] = [join(folder, 'content'), join(folder, 'output')];
    await writeFile(content, signed.content);
    judge(await gpgv(['--keyring', await keyring(signed, folder), '--output', output, content], signed), signed);
    return readFile(output);
  });
}

async function inFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(parent, 'gpg-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One binary keyring of all keys: gpgv reads no armour. */
async function keyring({ keys, what }: SignedText, folder: string): Promise<string> {
  const rings = await Promise.all(keys.map((key) => readKey(key, what)));
  const path = join(folder, 'keyring.gpg');
  await writeFile(path, Buffer.concat(rings.flat()));
  return path;
}

async function readKey(key: string, what: string): Promise<Uint8Array[]> {
  if (key.includes('-----BEGIN')) return [withoutArmour(Buffer.from(key), 'PUBLIC KEY BLOCK')];
  try {
    return [withoutArmour(await readFile(key), 'PUBLIC KEY BLOCK')];
  } catch (thrown) {
    if (errnoOf(thrown) === undefined) throw thrown;
    throw new NodekilnError('NK_SIGNATURE', `the key ${key} for ${what} cannot be read: ${errnoOf(thrown)}`, {
      cause: thrown,
      hint: 'Put the publisher’s key there, or correct the path.',
    });
  }
}

/** Every armoured block decoded (RFC 9580 §6.2); bytes without armour as they are. */
export function withoutArmour(bytes: Uint8Array, kind: string): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  const block = new RegExp(
    `-----BEGIN PGP ${kind}-----\\r?\\n(?:[^\\n]*:[^\\n]*\\n)*\\r?\\n([A-Za-z0-9+/=\\s]*?)(?:\\r?\\n=[A-Za-z0-9+/]{4})?\\r?\\n-----END PGP ${kind}-----`,
    'g',
  );
  const blocks = [...text.matchAll(block)].map(([, body = '']) => Buffer.from(body, 'base64'));
  return blocks.length === 0 ? bytes : Buffer.concat(blocks);
}

// ── gpgv ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function gpgv(args: readonly string[], { signal }: SignedText): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('gpgv', ['--status-fd', '1', '--quiet', ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C' },
      ...(signal && { signal }),
    });
    let status = '';
    child.stdout.on('data', (chunk: Buffer) => (status += chunk.toString('utf8')));
    child.once('error', (cause) => {
      if (errnoOf(cause) !== 'ENOENT') return reject(cause);
      reject(
        new NodekilnError('NK_TOOL_MISSING', 'gpgv is not installed, and nothing else checks signatures here', {
          cause,
          hint: 'Install gpgv (Debian, Ubuntu) or gnupg2 (RPM distributions).',
        }),
      );
    });
    child.once('close', () => resolve(status));
  });
}

/** MD5, SHA-1, RIPEMD-160: RFC 9580 §9.5. */
const weak: Readonly<Record<string, string>> = { '1': 'MD5', '2': 'SHA-1', '3': 'RIPEMD-160' };

const refusals: Readonly<Record<string, (key: string) => string>> = {
  BADSIG: (key) => `the signature by ${key} does not fit the content: it was changed after it was signed`,
  EXPKEYSIG: (key) => `the key ${key} has expired`,
  EXPSIG: (key) => `the signature by ${key} has expired`,
  REVKEYSIG: (key) => `the key ${key} is revoked`,
  NO_PUBKEY: (key) => `it is signed by the key ${key}, which is not among those given`,
};

function judge(status: string, { what }: SignedText): void {
  const lines = [...status.matchAll(/^\[GNUPG:\] (\S+) ?(.*)$/gm)].map(([, word = '', rest = '']) => ({ word, rest }));
  const good = lines.filter(({ word }) => word === 'GOODSIG');
  const weakDigests = lines.flatMap(({ word, rest }) => {
    const name = word === 'VALIDSIG' ? weak[rest.split(' ')[7] ?? ''] : undefined;
    return name === undefined ? [] : [`it is signed over a ${name} digest, which is too weak`];
  });
  const bad = lines.some(({ word }) => word === 'BADSIG');
  if (good.length > weakDigests.length && !bad) return;
  const why = [
    ...lines.flatMap(({ word, rest }) => {
      const key = rest.split(' ')[0] ?? '';
      return refusals[word]?.(key) ?? [];
    }),
    ...weakDigests,
  ];
  throw new NodekilnError('NK_SIGNATURE', `the signature of ${what} does not count`, {
    resource: what,
    lines: why.length === 0 ? ['there is no signature that can be read'] : [...new Set(why)],
  });
}
