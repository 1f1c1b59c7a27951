/** Regular files of our own file system, links followed: opened with one wording of what is wrong, and hashed. */
import { NodekilnError } from '../../errors.ts';
import type { Host, OpenFile } from '../../host/port.ts';
import { defaultLimits } from '../formats/limits.ts';
import { noRegularFile } from '../formats/unreadable.ts';

/** Closed when `use` has ended. NK_ARTIFACT_MISSING or `missing`, NK_ARTIFACT_UNREADABLE for what is no regular file. */
export async function withLocalFile<Result>(
  { local }: Pick<Host, 'local'>,
  { path, what = path, missing }: { readonly path: string; readonly what?: string; readonly missing?: NodekilnError },
  use: (file: OpenFile) => Promise<Result>,
): Promise<Result> {
  const file = await local.open(path).catch((thrown: unknown) => {
    throw noRegularFile(path, thrown, what) ?? thrown;
  });
  if (!file) throw missing ?? new NodekilnError('NK_ARTIFACT_MISSING', `${path} does not exist`, { resource: what });
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** `sha256:…` of a file, read once. NK_INTERRUPTED. */
export async function digestOfFile(
  { archives }: Pick<Host, 'archives'>,
  file: OpenFile,
  { what, signal }: { readonly what: string; readonly signal: AbortSignal | undefined },
): Promise<string> {
  const { size } = file.stat;
  const { fileDigest } = await archives.read({
    file,
    what,
    compression: 'none',
    form: { type: 'plain' },
    limits: { ...defaultLimits, totalBytes: size },
    digests: { file: true },
    ...(signal && { signal }),
  });
  return fileDigest;
}

/** NK_ARTIFACT_DIGEST unless it is the size that is wanted. */
export function requireSize(path: string, actual: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === actual) return;
  throw new NodekilnError('NK_ARTIFACT_DIGEST', `${path} has ${actual} bytes, not ${wanted}`, { resource: path });
}

/** NK_ARTIFACT_DIGEST unless it is the digest that is wanted. */
export function requireDigest(what: string, actual: string, wanted: string | undefined): void {
  if (wanted === undefined || wanted === actual) return;
  throw new NodekilnError('NK_ARTIFACT_DIGEST', `${what} has the digest ${actual}, not ${wanted}`, { resource: what });
}
