/**
 * nodekiln and what runs it, fetched into a folder: an OCI artifact of a registry, or a tar archive of the two files from any
 * web server. Both are named by a digest, and nothing of what is another, half there or more than the two is left.
 */
import { extractMember } from '../artifacts/extract.ts';
import { fetchTo } from '../artifacts/fetch-to.ts';
import { readPackage, withPackage } from '../artifacts/formats/open.ts';
import { unusableMember } from '../artifacts/formats/unreadable.ts';
import { parseReference } from '../model/reference.ts';
import { download } from '../artifacts/sources/download.ts';
import { shownUrl, type HttpClient } from '../artifacts/sources/http-client.ts';
import { NodekilnError } from '../errors.ts';
import type { ArchiveLimits, Host } from '../host/port.ts';

/** Where a program is. */
export type ProgramOrigin =
  | {
      /** An OCI artifact of `./dev build`, by digest. */
      readonly image: string;
      /** Asked before its registry, in order: addresses as in `hosts.toml`, with or without a path. */
      readonly mirrors?: readonly string[];
      /** Speak plain HTTP with its registry. */
      readonly plainHttp?: boolean;
    }
  | {
      /** Of one archive of `./dev build`, or the same packed with gzip, zstd or xz; asked in order. */
      readonly urls: readonly string[];
      /** Of the file. */
      readonly digest: string;
    };

export interface FetchOptions {
  /** Speaks to registries and web servers, with whatever authorities they are trusted by. */
  readonly client: HttpClient;
  /** For fetching, retries included. */
  readonly budgetMs: number;
  readonly signal?: AbortSignal;
}

/** The program last: where it is, what runs it is there, too. */
export const programFiles = ['node', 'nodekiln'] as const;

/** A program that runs is a hundredth of it and its runtime a fifth. */
const limits: ArchiveLimits = { memberBytes: 2 ** 29, totalBytes: 2 ** 30, members: 16, headerBytes: 2 ** 16 };

/** Undefined for an image without one. NK_DOCUMENT_INVALID. */
export function digestOf(origin: ProgramOrigin): string | undefined {
  return 'image' in origin ? parseReference(origin.image).digest : origin.digest;
}

/** As messages call it. */
export function nameOf(origin: ProgramOrigin): string {
  return 'image' in origin ? origin.image : origin.urls.map(shownUrl).join(', ');
}

/** `node` and `nodekiln`, in a folder that is there. Errors of registries, downloads and archives. */
export async function fetchProgram(
  host: Host,
  origin: ProgramOrigin,
  { folder, ...options }: FetchOptions & { readonly folder: string },
): Promise<void> {
  const context = { ...host, ...options, base: '/', folder };
  if ('urls' in origin) return fetchArchive(origin, context);
  const { image: reference, plainHttp = false, mirrors = [] } = origin;
  for (const file of programFiles)
    await fetchTo(
      { type: 'oci', reference, file, architecture: host.program.architecture, plainHttp },
      `${folder}/${file}`,
      { ...context, mirrors: mirrors.map((url) => ({ host: '_default', url })) },
    );
}

type Context = Pick<Host, 'local' | 'archives' | 'clock'> & FetchOptions & { readonly folder: string };
type Archive = Extract<ProgramOrigin, { readonly urls: readonly string[] }>;

async function fetchArchive({ urls, digest }: Archive, context: Context): Promise<void> {
  const { local, folder, clock } = context;
  const path = `${folder}/archive`;
  const untilMs = clock.monotonic() + context.budgetMs;
  const failures: NodekilnError[] = [];
  for (const [index, url] of urls.entries()) {
    try {
      // One that is away does not take the time of those that are asked after it.
      const budgetMs = Math.max(1, (untilMs - clock.monotonic()) / (urls.length - index));
      await download({ ...context, url, digest, budgetMs, maxBytes: limits.totalBytes, to: path });
      await unpack(path, { ...context, what: shownUrl(url) });
      await local.remove([path]);
      return;
    } catch (thrown) {
      if (!(thrown instanceof NodekilnError) || thrown.code === 'NK_INTERRUPTED') throw thrown;
      failures.push(thrown);
    }
  }
  throw nowhere(failures);
}

/** The code of the last one, with why none of them had it. */
function nowhere(failures: readonly NodekilnError[]): NodekilnError {
  const last = failures.at(-1);
  if (!last) throw new NodekilnError('NK_USAGE', 'there is no address to fetch nodekiln from');
  if (failures.length === 1) return last;
  const why = failures.map(({ message }) => message).join('; ');
  return new NodekilnError(last.code, `nodekiln was had from none of ${failures.length} addresses: ${why}`, {
    cause: last,
    hint: last.hint,
  });
}

async function unpack(source: string, { what, ...context }: Context & { readonly what: string }): Promise<void> {
  const { folder, signal } = context;
  const archive = { what, format: 'tarball', limits, ...(signal && { signal }) } as const;
  await withPackage(context, { ...archive, path: source }, async (opened) => {
    const { entries } = await readPackage(context, opened, { tell: 'all', fileDigest: false });
    const other = entries.find(({ name }) => name !== '' && !programFiles.some((file) => file === name));
    if (other) throw unusableMember(what, `has ${other.name} beside ${programFiles.join(' and ')}`);
  });
  for (const member of programFiles)
    await extractMember(context, { ...archive, source, member, to: `${folder}/${member}`, packageDigest: false });
}
