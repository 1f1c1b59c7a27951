/** What a member of this family gives: an artifact's bytes as a local file, checked. */
import type { Clock } from '../../host/port.ts';
import type { HttpClient } from './http-client.ts';
import type { Progress } from './download.ts';

export type SourceSpec =
  /** A file of our own file system; relative paths start at the context's base folder. */
  | { readonly type: 'file'; readonly path: string; readonly digest?: string; readonly size?: number }
  | { readonly type: 'http'; readonly url: string; readonly digest?: string; readonly size?: number };

export interface FetchContext {
  /** Where relative paths start. */
  readonly base: string;
  /** Where downloads land. */
  readonly folder: string;
  readonly client: HttpClient;
  readonly clock: Clock;
  readonly budgetMs: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface Fetched {
  /** In our own file system. */
  readonly path: string;
  /** `sha256:…` of the whole artifact. */
  readonly digest: string;
  readonly size: number;
  /** Where it came from, without secrets: for the index and the lock file. */
  readonly location: string;
  /** True when `path` is our own copy, to be removed after use. */
  readonly temporary: boolean;
}

export interface Source<Type extends SourceSpec['type']> {
  readonly type: Type;
  fetch(spec: Extract<SourceSpec, { type: Type }>, context: FetchContext): Promise<Fetched>;
}
