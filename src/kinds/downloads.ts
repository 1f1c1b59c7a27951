/**
 * The artifacts one run fetches: each once, however many steps take something out of it, a few at a time, into the state
 * folder, gone when the run ends. Nothing is loaded or made before the first fetch, since most boots have none.
 */
import type { Progress } from '../artifacts/sources/download.ts';
import type { HttpClient } from '../artifacts/sources/http-client.ts';
import type { RegistryAddress } from '../artifacts/sources/oci/open.ts';
import type { Fetched, SourceSpec } from '../artifacts/sources/source.ts';
import { reveal, type SignatureRequirement, type TransferSettings } from '../model/resources.ts';
import { errnoOf, NodekilnError } from '../errors.ts';
import type { Files, Host } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';

export interface Downloads {
  /** The artifact as a local file, valid until `close`. Errors of the source. */
  fetch(spec: SourceSpec, options: FetchOptions): Promise<Fetched>;
  /** All tags of a repository. NK_TAGS_UNAVAILABLE when they cannot be listed. */
  tags(address: RegistryAddress, options: Omit<FetchOptions, 'signature'>): Promise<string[]>;
  /** Removes what was fetched. Idempotent. */
  close(): Promise<void>;
}

export interface FetchOptions {
  readonly transfer: TransferSettings | undefined;
  /** Who must have signed an OCI artifact. */
  readonly signature?: SignatureRequirement;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: Progress) => void;
}

const folder = '/var/lib/nodekiln/downloads';
const defaultBudgetMs = 300_000;
/** More transfers at a time share one line and make each slower. */
const defaultLimit = 4;

export function createDownloads(host: Host, limit = defaultLimit): Downloads {
  const fetched = new Map<string, Promise<Fetched>>();
  const clients = new Map<string, Promise<HttpClient>>();
  const waiting: (() => void)[] = [];
  let place: Promise<string> | undefined;
  let free = limit;

  const clientFor = (transfer: TransferSettings | undefined): Promise<HttpClient> => {
    const key = JSON.stringify([transfer?.caFile, transfer?.proxy, transfer?.noProxy]);
    const known = clients.get(key) ?? makeClient(host.local, transfer);
    clients.set(key, known);
    return known;
  };

  const take = async (): Promise<void> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const give = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };

  const fetchNow = async (spec: SourceSpec, options: FetchOptions): Promise<Fetched> => {
    const { transfer, signature, signal, onProgress } = options;
    await take();
    try {
      const { fetchArtifact } = await import('../artifacts/sources/table.ts');
      const into = await (place ??= downloadFolder(host));
      return await fetchArtifact(spec, {
        base: '/',
        folder: into,
        client: await clientFor(transfer),
        clock: host.clock,
        budgetMs: transfer?.budgetMs ?? defaultBudgetMs,
        onProgress,
        ...(transfer?.mirrors && { mirrors: transfer.mirrors }),
        ...(signature && {
          verify: async (subject) => {
            const { verifyArtifact } = await import('../artifacts/verification/cosign.ts');
            await verifyArtifact({ ...subject, folder: into }, signature);
          },
        }),
        ...(signal && { signal }),
      });
    } finally {
      give();
    }
  };

  return {
    fetch: (spec, options) => {
      const key = JSON.stringify([spec, options.signature]);
      const known = fetched.get(key);
      if (known) return known;
      const work = fetchNow(spec, options);
      fetched.set(key, work);
      // A failure is not remembered: the next step may be luckier.
      work.catch(() => fetched.delete(key));
      return work;
    },
    tags: async (address, { transfer, signal }) => {
      const { openReference } = await import('../artifacts/sources/oci/open.ts');
      // Any tag serves: only their list is asked for.
      const { repository } = openReference(
        { ...address, reference: `${address.reference}:latest` },
        {
          base: '/',
          folder: await (place ??= downloadFolder(host)),
          client: await clientFor(transfer),
          clock: host.clock,
          budgetMs: transfer?.budgetMs ?? defaultBudgetMs,
          ...(transfer?.mirrors && { mirrors: transfer.mirrors }),
          ...(signal && { signal }),
        },
      );
      return repository.tags();
    },
    close: async () => {
      for (const client of await Promise.allSettled(clients.values()))
        if (client.status === 'fulfilled') client.value.close();
      clients.clear();
      // What a killed run left goes, too, when this one fetched nothing.
      await host.files.removeTree(folder);
      place = undefined;
    },
  };
}

/** Emptied first: a killed run may have left something. Only one process works on a host at a time. */
async function downloadFolder(host: Host): Promise<string> {
  await host.files.removeTree(folder);
  await host.files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
  const path = await host.files.realPath?.(folder);
  if (path !== undefined) return path;
  throw new NodekilnError('NK_UNSUPPORTED', 'nothing can be fetched for a host whose files lie in no file system');
}

async function makeClient(local: Files, transfer: TransferSettings | undefined): Promise<HttpClient> {
  const { createHttpClient } = await import('../artifacts/sources/http-client.ts');
  const ca = transfer?.caFile === undefined ? undefined : await readCertificates(local, transfer.caFile);
  return createHttpClient({
    // As every other tool of the field does without a setting of its own.
    proxy: transfer?.proxy === undefined ? 'environment' : reveal(transfer.proxy),
    ...(transfer?.noProxy && { noProxy: transfer.noProxy.join(',') }),
    ...(ca !== undefined && { ca }),
  });
}

async function readCertificates(local: Files, path: string): Promise<string> {
  const unreadable = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_DOCUMENT_INVALID', `the certificates ${path} cannot be read: ${why}`, {
      cause,
      hint: 'Correct `transfer.caFile`.',
    });
  let content;
  try {
    content = await local.read(path);
  } catch (cause) {
    throw unreadable(errnoOf(cause) ?? '', cause);
  }
  if (content === undefined) throw unreadable('ENOENT');
  return textOf(content);
}
