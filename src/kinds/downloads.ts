/**
 * The artifacts one run fetches: each once, however many steps take something out of it, a few at a time, into the state
 * folder, gone when the run ends. Nothing is loaded or made before the first fetch, since most boots have none.
 */
import type { Progress } from '../artifacts/sources/download.ts';
import type { HttpClient } from '../artifacts/sources/http-client.ts';
import type { RegistryAddress } from '../artifacts/sources/oci/open.ts';
import type { FetchContext, Fetched, RegistryMirror, SourceSpec } from '../artifacts/sources/source.ts';
import { reveal, type SignatureRequirement, type TransferSettings } from '../model/resources.ts';
import { NodekilnError, whyRefused } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import { createGate } from '../model/parallel.ts';
import { join } from '../model/path.ts';
import { downloadsFolder } from '../model/state-paths.ts';

export interface Downloads {
  /** The artifact as a local file, valid until `close`. Errors of the source. */
  fetch(spec: SourceSpec, options: FetchOptions): Promise<Fetched>;
  /** All tags of a repository. NK_TAGS_UNAVAILABLE when they cannot be listed. */
  tags(address: RegistryAddress, options: Omit<FetchOptions, 'signature'>): Promise<string[]>;
  /** Removes what was fetched, and parts of it unless some of it was not had. Idempotent. */
  close(): Promise<void>;
}

export interface FetchOptions {
  readonly transfer: TransferSettings | undefined;
  /** Who must have signed an OCI artifact. */
  readonly signature?: SignatureRequirement;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: Progress) => void;
}

const partsName = 'parts';
const defaultBudgetMs = 300_000;
/** More transfers at a time share one line and make each slower. */
const defaultLimit = 4;

/** `limit`: transfers at a time. What lands below the state folder goes with `close`. */
export function createDownloads(host: Host, limit = defaultLimit): Downloads {
  const fetched = new Map<string, Promise<Fetched>>();
  const clients = new Map<string, Promise<HttpClient>>();
  const gate = createGate(limit);
  let place: Promise<string> | undefined;
  let hasFailed = false;

  const clientFor = (
    transfer: TransferSettings | undefined,
    caFiles: readonly string[] = transfer?.caFile === undefined ? [] : [transfer.caFile],
  ): Promise<HttpClient> => {
    const key = JSON.stringify([caFiles, transfer?.proxy, transfer?.noProxy]);
    const known = clients.get(key) ?? makeClient(host, transfer, caFiles);
    clients.set(key, known);
    return known;
  };

  const folderNow = (): Promise<string> => (place ??= downloadFolder(host));

  const mirrorsOf = (transfer: TransferSettings): Promise<RegistryMirror[]> =>
    Promise.all(
      (transfer.mirrors ?? []).map(async ({ caFiles, url, ...mirror }) => ({
        ...mirror,
        url: reveal(url),
        ...(caFiles && { client: await clientFor(transfer, caFiles) }),
      })),
    );

  const contextFor = async ({
    transfer,
    signal,
  }: Pick<FetchOptions, 'transfer' | 'signal'>): Promise<FetchContext> => ({
    ...host,
    base: '/',
    folder: await folderNow(),
    parts: { folder: join(await folderNow(), partsName), owner: host.program.owner },
    client: await clientFor(transfer),
    budgetMs: transfer?.budgetMs ?? defaultBudgetMs,
    ...(transfer?.mirrors && { mirrors: await mirrorsOf(transfer) }),
    ...(signal && { signal }),
  });

  const fetchNow = async (spec: SourceSpec, options: FetchOptions): Promise<Fetched> => {
    const { signature, onProgress } = options;
    const { fetchArtifact } = await import('../artifacts/sources/table.ts');
    const context = await contextFor(options);
    return fetchArtifact(spec, {
      ...context,
      onProgress,
      ...(signature && {
        verify: async (subject) => {
          const { verifyArtifact } = await import('../artifacts/verification/cosign.ts');
          await verifyArtifact(host, { ...subject, folder: context.folder }, signature);
        },
      }),
    });
  };

  return {
    fetch: (spec, options) => {
      const key = JSON.stringify([spec, options.signature]);
      const known = fetched.get(key);
      if (known) return known;
      const work = gate(() => fetchNow(spec, options));
      fetched.set(key, work);
      // A failure is not remembered: the next step may be luckier.
      work.catch(() => {
        fetched.delete(key);
        hasFailed = true;
      });
      return work;
    },
    tags: async (address, options) => {
      const { openReference } = await import('../artifacts/sources/oci/open.ts');
      // Any tag serves: only their list is asked for.
      const any = { ...address, reference: `${address.reference}:latest` };
      return openReference(any, await contextFor(options)).repository.tags();
    },
    close: async () => {
      clients.clear();
      place = undefined;
      // What a killed run left goes, too, when this one fetched nothing; parts wait for a run after one that failed.
      const isAwaited = hasFailed && (await host.files.list(`${downloadsFolder}/${partsName}`)).length > 0;
      await (isAwaited ? clearDownloads(host.files) : host.files.removeTree(downloadsFolder));
    },
  };
}

/**
 * Where downloads land, in our own file system. Emptied first but for parts to go on with: a killed run may have left something, and only one process
 * works on a host at a time.
 */
async function downloadFolder({ files }: Host): Promise<string> {
  await clearDownloads(files);
  await files.write([{ type: 'directory', path: downloadsFolder, mode: 0o700, uid: 0, gid: 0 }]);
  return files.realPath(downloadsFolder);
}

async function clearDownloads(files: Host['files']): Promise<void> {
  for (const name of await files.list(downloadsFolder))
    if (name !== partsName) await files.removeTree(`${downloadsFolder}/${name}`);
}

async function makeClient(
  host: Host,
  transfer: TransferSettings | undefined,
  caFiles: readonly string[],
): Promise<HttpClient> {
  const { createHttpClient } = await import('../artifacts/sources/http-client.ts');
  const certificates = await Promise.all(caFiles.map((path) => readCertificates(host, path)));
  const ca = certificates.length === 0 ? undefined : certificates.join('\n');
  return createHttpClient({
    net: host.net,
    // As every other tool of the field does without a setting of its own.
    environment: host.program.environment,
    ...(transfer?.proxy !== undefined && { proxy: reveal(transfer.proxy), environment: {} }),
    ...(transfer?.noProxy && { noProxy: transfer.noProxy.join(',') }),
    ...(ca !== undefined && { ca }),
  });
}

async function readCertificates({ local }: Host, path: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_DOCUMENT_INVALID', `the certificates ${path} cannot be read: ${why}`, {
      cause,
      hint: 'Correct the path.',
    });
  const text = textOf(
    await local.read(path).catch((thrown: unknown) => {
      throw refuse(whyRefused(thrown), thrown);
    }),
  );
  if (text === undefined) throw refuse('there is no such file');
  return text;
}
