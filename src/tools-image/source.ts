/**
 * The metadata document as it is known now, and how well. From a file: read each time. From an address: a good document
 * is `fresh` for the configured time; after that it is still used, as `stale`, while one refresh runs beside
 * (stale-while-revalidate). Failures are remembered too, but briefly: the next attempt is due after 5 s, 10 s, 20 s … at
 * most 5 min. Without any good document it is `unavailable`, and the caller has its fallback; nothing here throws.
 *
 * A first call waits for the answer, at most until the deadline; later calls never wait.
 */
import { shownUrl } from '../artifacts/sources/http-client.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { cacheFile, emptyRecord, readRecord, writeRecord, type MetadataRecord, type Owner } from './cache.ts';
import { fetchMetadata } from './fetch.ts';
import { readMetadata, type ToolsMetadata } from './metadata.ts';
import { textOf } from '../model/bytes.ts';

export interface MetadataSourceOptions {
  /** `https://…`, `http://…` or an absolute path. */
  readonly location: string;
  readonly deadlineMs: number;
  readonly maxBytes: number;
  readonly cacheForMs: number;
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** Absolute; in memory only when absent. */
  readonly cacheFolder?: string;
  readonly owner: Owner;
}

export interface MetadataReport {
  /** `unused`: the answer did not depend on it, so nobody asked. */
  readonly state: 'fresh' | 'stale' | 'unavailable' | 'unused';
  /** Path, or address without credentials and query. */
  readonly location?: string;
  /** When the document came or was confirmed, ISO 8601. */
  readonly fetchedAt?: string;
  readonly ageMs?: number;
  /** What is wrong: the last failure, or that a refresh is under way. */
  readonly why?: string;
  /** The cache folder cannot be written: a restarted process begins anew. */
  readonly warning?: string;
  /** Entries of the document that cannot be read, each with its place and what is wrong; the others are used. */
  readonly passedOver?: readonly string[];
}

export interface MetadataView {
  readonly report: MetadataReport;
  readonly document?: ToolsMetadata;
}

export interface MetadataSource {
  read(): Promise<MetadataView>;
  /** When no refresh is under way. */
  settled(): Promise<void>;
}

/** The parts of a host that metadata are fetched and kept with; without a program nobody's proxies are asked. */
export type MetadataHost = Pick<Host, 'net' | 'files' | 'clock'> & {
  readonly program?: Pick<Host['program'], 'environment'>;
};

/** From a file or from an address; nothing is asked before the first `read`. */
export function createMetadataSource(host: MetadataHost, options: MetadataSourceOptions): MetadataSource {
  return isAddress(options.location) ? addressSource(host, options) : fileSource(host, options);
}

/** True for http and https addresses; anything else is a path. */
export function isAddress(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

function named(passedOver: readonly string[]): Pick<MetadataReport, 'passedOver'> {
  return passedOver.length === 0 ? {} : { passedOver };
}

function fileSource({ files, clock }: MetadataHost, { location, maxBytes }: MetadataSourceOptions): MetadataSource {
  const load = async (): Promise<MetadataView> => {
    const content = await files.read(location);
    if (content === undefined) throw new NodekilnError('NK_DOCUMENT_MISSING', `${location} does not exist`);
    if (content.length > maxBytes)
      throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `${location} is larger than ${maxBytes} bytes`);
    const { metadata: document, passedOver } = readMetadata(textOf(content), location);
    const report = { state: 'fresh', location, fetchedAt: iso(clock.now()), ageMs: 0, ...named(passedOver) } as const;
    return { document, report };
  };
  return {
    read: () =>
      load().catch((thrown: unknown) => ({
        report: { state: 'unavailable', location, why: asNodekilnError(thrown).message },
      })),
    settled: () => Promise.resolve(),
  };
}

function addressSource(host: MetadataHost, options: MetadataSourceOptions): MetadataSource {
  const { location, cacheFolder, cacheForMs, retryMs, retryMaxMs, owner } = options;
  const { clock, files } = host;
  const where = shownUrl(location);
  const file = cacheFolder === undefined ? undefined : cacheFile(cacheFolder, location);
  let loading: Promise<MetadataRecord> | undefined;
  let record = emptyRecord(location);
  let refreshing: Promise<void> | undefined;
  let warning: string | undefined;

  const isFresh = (): boolean => record.good !== null && within(record.good.fetchedAt, cacheForMs);
  const isWaiting = (): boolean =>
    record.failures > 0 && within(record.failedAt, Math.min(retryMs * 2 ** (record.failures - 1), retryMaxMs));
  /** A clock that was set back must not make anything last. */
  const within = (since: number, ms: number): boolean => clock.now() >= since && clock.now() - since < ms;

  const refresh = async (): Promise<void> => {
    const { good } = record;
    try {
      const fetched = await fetchMetadata(host, {
        ...options,
        environment: host.program?.environment ?? {},
        url: location,
        ...(good?.etag !== undefined && { etag: good.etag }),
      });
      const next = fetched === 'unchanged' ? good : fetched;
      record = { ...emptyRecord(location), good: next && { ...next, fetchedAt: clock.now() } };
    } catch (thrown) {
      const { message } = asNodekilnError(thrown);
      record = { ...record, failures: Math.min(record.failures + 1, 32), failedAt: clock.now(), error: message };
    }
    if (file === undefined) return;
    warning = await writeRecord(files, file, { record, owner }).then(
      () => undefined,
      (thrown: unknown) => asNodekilnError(thrown).message,
    );
  };

  const view = (): MetadataView => {
    const extra = { location: where, ...(warning !== undefined && { warning }) };
    if (record.good === null) return { report: { state: 'unavailable', ...extra, why: record.error } };
    const { fetchedAt, json } = record.good;
    const { metadata: document, passedOver } = readMetadata(json, where);
    const ageMs = Math.max(0, clock.now() - fetchedAt);
    const report = { ...extra, fetchedAt: iso(fetchedAt), ageMs, ...named(passedOver) };
    if (isFresh()) return { document, report: { state: 'fresh', ...report } };
    const why = record.failures > 0 ? record.error : 'it is being refreshed';
    return { document, report: { state: 'stale', ...report, why } };
  };

  return {
    read: async () => {
      loading ??=
        file === undefined
          ? Promise.resolve(record)
          : readRecord(files, file, location).then((read) => (record = read));
      await loading;
      if (isFresh() || isWaiting()) return view();
      refreshing ??= refresh().finally(() => (refreshing = undefined));
      if (record.good === null) await refreshing;
      return view();
    },
    settled: async () => {
      await refreshing;
    },
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
