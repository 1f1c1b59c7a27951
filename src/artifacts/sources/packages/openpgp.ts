/**
 * OpenPGP signatures of repositories and packages, by gpgv, which apt trusted until Debian 12, in its machine-readable form
 * (`--status-fd`, GnuPG's doc/DETAILS). A signature counts when it is good, made by one of the keys given, neither
 * expired nor revoked (the key's state counts, too), with a digest that is not weak.
 *
 * Errors: NK_SIGNATURE with what was found, NK_TOOL_MISSING.
 */
import { NodekilnError, errnoOf, whyRefused } from '../../../errors.ts';
import type { Host, StagedFile } from '../../../host/port.ts';
import { missingProgram } from '../../../host/program-packages.ts';
import { bytesOf, fromBase64, concatBytes, latin1Of } from '../../../model/bytes.ts';
import { join } from '../../../model/path.ts';
import { inTemporaryFolder } from '../../../host/temporary-folder.ts';

const timeoutMs = 60_000;

/** What every signature is judged with. */
export interface SignedText {
  /** Keys are read from our own file system, and our own machine's gpgv judges. */
  readonly host: Pick<Host, 'local' | 'localExec'>;
  /** What is signed, for messages. */
  readonly what: string;
  /** Paths of keyrings or key files, or armoured keys. */
  readonly keys: readonly string[];
  /** A folder for temporary files. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

/** Content whose signature lies beside it. */
export interface Detached extends SignedText {
  readonly content: Uint8Array;
  readonly signature: Uint8Array;
}

/** Text with its signature around it. */
export interface ClearSigned extends SignedText {
  readonly content: Uint8Array;
}

/** Returns when the signature counts. */
export async function verifyDetached(signed: Detached): Promise<void> {
  await inFolder(signed, async ({ hold }) => {
    const [keyring, signature, content] = [
      await hold(await keyringOf(signed)),
      await hold(withoutArmour(signed.signature, 'SIGNATURE')),
      await hold(signed.content),
    ];
    judge(await gpgv(['--keyring', keyring, signature, content], signed), signed);
  });
}

/** The text inside the signature, and nothing of what stands around it. */
export async function verifyClearSigned(signed: ClearSigned): Promise<Uint8Array> {
  return inFolder(signed, async ({ folder, hold }) => {
    const [keyring, content] = [await hold(await keyringOf(signed)), await hold(signed.content)];
    const output = join(folder, 'output');
    judge(await gpgv(['--keyring', keyring, '--output', output, content], signed), signed);
    return (await signed.host.local.read(output)) ?? new Uint8Array();
  });
}

interface Scratch {
  readonly folder: string;
  /** Puts bytes into a file that gpgv can read, for as long as the work takes; its path. */
  readonly hold: (content: Uint8Array) => Promise<string>;
}

async function inFolder<Result>(
  { host: { local }, folder: parent }: SignedText,
  work: (scratch: Scratch) => Promise<Result>,
): Promise<Result> {
  return inTemporaryFolder(local, parent, async (folder) => {
    const held: StagedFile[] = [];
    const hold = async (content: Uint8Array): Promise<string> => {
      const file = await local.stage(folder);
      held.push(file);
      await file.append(content);
      // All of it is written then.
      await file.digest();
      return file.path;
    };
    try {
      return await work({ folder, hold });
    } finally {
      for (const file of held) await file.discard();
    }
  });
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One binary keyring of all keys: gpgv reads no armour. */
async function keyringOf(signed: SignedText): Promise<Uint8Array> {
  return concatBytes(await Promise.all(signed.keys.map((key) => readKey(key, signed))));
}

async function readKey(key: string, { what, host }: SignedText): Promise<Uint8Array> {
  if (key.includes('-----BEGIN')) return withoutArmour(bytesOf(key), 'PUBLIC KEY BLOCK');
  const refuse = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_SIGNATURE', `the key ${key} for ${what} cannot be read: ${why}`, {
      cause,
      hint: 'Put the publisher’s key there, or correct the path.',
    });
  const content = await host.local.read(key).catch((thrown: unknown) => {
    throw errnoOf(thrown) === undefined ? thrown : refuse(whyRefused(thrown), thrown);
  });
  if (!content) throw refuse('there is no such file');
  return withoutArmour(content, 'PUBLIC KEY BLOCK');
}

/** Every armoured block decoded (RFC 9580 §6.2); bytes without armour as they are. */
export function withoutArmour(bytes: Uint8Array, kind: string): Uint8Array {
  const text = latin1Of(bytes);
  const block = new RegExp(
    `-----BEGIN PGP ${kind}-----\\r?\\n(?:[^\\n]*:[^\\n]*\\n)*\\r?\\n([A-Za-z0-9+/=\\s]*?)(?:\\r?\\n=[A-Za-z0-9+/]{4})?\\r?\\n-----END PGP ${kind}-----`,
    'g',
  );
  const blocks = [...text.matchAll(block)].map(([, body = '']) => fromBase64(body));
  return blocks.length === 0 ? bytes : concatBytes(blocks);
}

// ── gpgv ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function gpgv(args: readonly string[], { host, signal }: SignedText): Promise<string> {
  try {
    const { stdout } = await host.localExec.run(['gpgv', '--status-fd', '1', '--quiet', ...args], {
      timeoutMs,
      env: { LC_ALL: 'C' },
      ...(signal && { signal }),
    });
    return stdout;
  } catch (cause) {
    if (!(cause instanceof NodekilnError) || cause.code !== 'NK_TOOL_MISSING') throw cause;
    throw missingProgram('gpgv', {
      message: 'gpgv is not installed, and nothing else checks signatures here',
      cause,
    });
  }
}

/** MD5, SHA-1, RIPEMD-160: RFC 9580 §9.5. */
const weak: Readonly<Record<string, string>> = { '1': 'MD5', '2': 'SHA-1', '3': 'RIPEMD-160' };

const changed = 'it was changed after it was signed';

/** Whether a signature was refused because it is that of other content. */
export function isChangedSinceSigned(refusal: NodekilnError): boolean {
  return refusal.code === 'NK_SIGNATURE' && refusal.lines.some((line) => line.endsWith(changed));
}

const refusals: Readonly<Record<string, (key: string) => string>> = {
  BADSIG: (key) => `the signature by ${key} does not fit the content: ${changed}`,
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
