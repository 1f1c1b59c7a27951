/**
 * A kind of documents: how a text of it is checked, and what it asks for. Our own kinds are strict; foreign ones are read
 * as their owner writes them. One kind is one file or folder here and one line in `table.ts`.
 */
import type { LoadedDocument } from '../../config/load.ts';
import { isMap } from '../../config/paths.ts';
import type { ParsedDocument } from '../../config/problems.ts';
import type { InPlaceUpdates } from '../../desired/in-place.ts';
import type { Join } from '../../desired/join.ts';
import type { Files } from '../../host/port.ts';
import type { DesiredState, Resource } from '../../model/resources.ts';
import type { SecretValue } from '../../model/secret-value.ts';
import type { PathReaders } from '../../desired/own-path.ts';
import type { Facts } from '../../model/facts.ts';

/** One text of the kind, parsed but not checked. */
export interface KindText {
  readonly parsed: ParsedDocument;
  /** Of the file it stands in, see `SourcedText`; 0 where nobody else can read it. */
  readonly mode: number;
  /** Of the Secrets that the text names, where its source can read them. */
  readonly secrets?: ReadonlyMap<string, SecretData>;
}

/** A Secret's data, by key. */
export type SecretData = Readonly<Record<string, SecretValue>>;

/** What documents say of the Node itself, as the cluster has it. */
export type NodePart = Join['node'];

/** What a node's documents ask for. */
export interface NodeAsk {
  readonly desired: DesiredState;
  /** The budget of a boot made from them, in milliseconds. */
  readonly budgetMs: number;
  /** How the node joins its cluster; absent of one that stands alone. */
  readonly join?: Join;
  /** What the agent keeps on the Node. */
  readonly node?: NodePart;
  /** What the agent updates in place. */
  readonly inPlace?: InPlaceUpdates;
  /** Of kinds that another agent tended nodes by: what it left here. Asked once, before the first of them is applied. */
  readonly predecessor?: (files: Files) => Promise<Predecessor | undefined>;
}

/** What another agent has put in place on this host. */
export interface Predecessor {
  /** As our own documents would have asked for it; content that only its source knew is not known. */
  readonly resources: readonly Resource[];
  /** What could not be read of it, in words for people. */
  readonly remarks: readonly string[];
}

export type KindOfDocument =
  | {
      /** Describes a node: what boot and agent are made from. */
      readonly describes: 'node';
      /**
       * Checks all texts of the kind, in the order in which they merge, and merges them. NK_DOCUMENT_INVALID with every
       * problem and its place; NK_DOCUMENT_EXPOSED when one with secrets can be read by others.
       */
      readonly load: (texts: readonly KindText[]) => Promise<(facts: Facts) => NodeAsk>;
      /**
       * Of kinds that are not ours: all that can be said of one text on such a host, without what its source alone knows.
       * Throws as `load`.
       */
      readonly check?: (text: ParsedDocument, facts: Facts) => Promise<Remarks>;
    }
  | {
      /** Describes an image: what a bake is made from. */
      readonly describes: 'image';
      readonly load: (text: KindText) => Promise<ImageDocument>;
    }
  | {
      /** Says how an agent goes about its work (`config/agent-config.ts`). */
      readonly describes: 'agent';
      /** Of kinds that are not ours, as above. */
      readonly check?: (text: ParsedDocument) => Promise<Remarks>;
    }
  /** Data that other documents are made of. */
  | { readonly describes: 'data' };

/** What a check says of a document that is valid. */
export interface Remarks {
  /** What is allowed, but worth a thought. */
  readonly warnings: readonly string[];
  /** What follows from what it does not say, or is known only later. */
  readonly notes: readonly string[];
}

/** A checked document that describes an image. */
export interface ImageDocument {
  readonly loaded: LoadedDocument<'ImageManifest'>;
  /** Relative paths of artifacts stay relative. */
  readonly render: (facts: Facts, pathReaders: PathReaders) => DesiredState;
}

/** `nodekiln.dev/v1alpha1/NodeConfig` */
export function keyOf({ value }: ParsedDocument): string {
  return isMap(value) ? `${String(value['apiVersion'])}/${String(value['kind'])}` : '';
}
