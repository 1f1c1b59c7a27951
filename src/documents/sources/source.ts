/**
 * Where documents come from: a family by scheme (`table.ts`), each member a file here. A source gives texts and says when
 * they may have changed; what the texts mean is none of its business (`../kinds/`).
 */
import type { DocumentText } from '../../config/load.ts';
import type { Clock, Host } from '../../host/port.ts';
import { sha256 } from '../../host/digest.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Doubt } from '../../kube/doubt.ts';
import { toBase64 } from '../../model/bytes.ts';
import type { KindText } from '../kinds/kind.ts';

/** One document as its source has it. */
export interface SourcedText extends DocumentText {
  /** Mode bits of the file it stands in, 0 where no other user can get at it: documents with secrets are refused by it. */
  readonly mode: number;
  /** Of the Secrets that the text names, where the source can read them. */
  readonly secrets?: KindText['secrets'];
}

export interface Reading {
  /** In the order in which they merge. */
  readonly texts: readonly SourcedText[];
  /** Fingerprint of names, texts and the Secrets they name: equal texts, equal digest. */
  readonly digest: string;
  /** False while somebody may still be writing: `settledReading` reads again. */
  readonly whole: boolean;
  /** Of sources that many nodes share. */
  readonly delivery?: Delivery;
}

/** How a source that many nodes share wants to be applied. */
export interface Delivery {
  /** Of what it holds, as nodes report it once it is applied; SHA-256 in hexadecimal digits. */
  readonly checksum?: string;
  /** Nodes apply it one after the other. */
  readonly serial: boolean;
}

export interface DocumentSource {
  /** `dir:/etc/nodekiln/desired` */
  readonly address: string;
  /**
   * All documents as they are now; none is an answer. NK_DOCUMENT_MISSING when the source is not there or cannot be read:
   * then nothing is known about what it asks for.
   */
  read(): Promise<Reading>;
  /**
   * Yields when it begins to look, and whenever what `read` gives may have changed since; what happens between two looks
   * is one change. Ends with the signal.
   */
  watch(signal: AbortSignal): AsyncIterable<void>;
  /**
   * Makes the place that is followed, empty, where there is nothing; true when it did. For callers that know that nothing
   * was ever asked for from it.
   */
  make?(): Promise<boolean>;
}

/** What sources read from. */
export interface SourceContext {
  readonly host: Host;
  /** The cluster that Secrets are read from; absent where there is none. */
  readonly cluster?: SourceCluster;
}

/** The part of a cluster that sources need. */
export interface SourceCluster {
  readonly api: KubeApi;
  /** When we are somebody to the API; NK_INTERRUPTED when the signal fires before. */
  available(signal: AbortSignal): Promise<void>;
  /** Told of what went wrong and is tried again. */
  onTrouble?(trouble: unknown): void;
  /** Of others who ask it. */
  readonly doubt?: Doubt;
  /** Its state is an earlier one than it was. */
  onPutBack?(): void;
}

/** A member of the family: what follows the scheme in an address → the source. NK_USAGE when it is no address. */
export type OpenSource = (rest: string, context: SourceContext) => DocumentSource;

/** Names that start with a dot or end otherwise are somebody's own business. */
export function isDocumentName(name: string): boolean {
  return /\.(ya?ml|json)$/.test(name) && !name.startsWith('.');
}

/** Writers that change one document after the other in place are read as one change. */
export const settleMs = 50;
/** A document that is written to without end is taken as it is. */
const patienceMs = 1000;

/** Reads until what was read is whole: at once where the source knows that it is, else when nothing changes any more. */
export async function settledReading(source: DocumentSource, clock: Clock, signal?: AbortSignal): Promise<Reading> {
  let reading = await source.read();
  for (let waited = 0; !reading.whole && waited < patienceMs; waited += settleMs) {
    await clock.sleep(settleMs, signal);
    reading = await source.read();
  }
  return reading;
}

export function digestOf(texts: readonly (DocumentText & Pick<SourcedText, 'secrets'>)[]): string {
  return sha256(texts.flatMap(({ file, text, secrets }) => [file, text, ...partsOf(secrets)]).join('\0'));
}

function partsOf(secrets: SourcedText['secrets']): string[] {
  return [...(secrets ?? [])].flatMap(([name, data]) =>
    Object.entries(data).flatMap(([key, value]) => [name, key, toBase64(value.reveal())]),
  );
}
