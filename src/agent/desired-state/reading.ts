/** What a source of documents says now, as the agent reads it: what cannot be read is an answer, too. */
import { overImage } from '../../documents/documents.ts';
import { digestOf, settledReading, type Delivery, type SourcedText } from '../../documents/sources/source.ts';
import type { HostState } from '../../apply/run.ts';
import { asNodekilnError, type NodekilnError } from '../../errors.ts';
import type { AgentContext } from '../controller.ts';
import { drainedBy } from '../in-place/drained.ts';
import { annotatedDelay } from '../turn.ts';

/** What the source was found to say. Equal keys: nothing about it has changed. */
/** Documents that could be read. */
export type Documents = Exclude<Read, { readonly error: NodekilnError }>;

export type Read =
  | {
      readonly key: string;
      readonly texts: readonly SourcedText[];
      readonly digest: string;
      readonly delivery: Delivery | undefined;
      readonly error?: never;
    }
  | { readonly key: string; readonly error: NodekilnError };

export async function readAll({ host, source, cluster }: AgentContext, signal: AbortSignal): Promise<Read> {
  try {
    const { texts: own, delivery } = await settledReading(source, host.clock, signal);
    const texts = await overImage(host.files, own);
    const digest = digestOf(texts);
    // Whether others can read a document decides about it, too.
    const key = [
      digest,
      ...texts.map(({ mode }) => mode),
      annotatedDelay(cluster?.node()),
      drainedBy(cluster?.node()),
    ].join(' ');
    return { key, texts, digest, delivery };
  } catch (thrown) {
    const error = asNodekilnError(thrown);
    return { key: `${error.code} ${error.message}`, error };
  }
}

/** A place that is missing where nothing was ever asked for is made. Elsewhere it may only be away. */
export async function readOrMake(context: AgentContext, { journal }: HostState, signal: AbortSignal): Promise<Read> {
  const read = await readAll(context, signal);
  const owned = (journal.claims().agent ?? []).length > 0;
  if (!read.error || owned || !(await context.source.make?.())) return read;
  return readAll(context, signal);
}
