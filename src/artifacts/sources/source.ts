/** What a member of this family gives: an artifact's bytes as a local file, checked. */
import type { Host } from '../../host/port.ts';
import type { HttpClient } from './http-client.ts';
import type { Progress } from './download.ts';
import type { CredentialStore } from './oci/credentials.ts';
import type { Repository } from './oci/repository.ts';
import type { PartsPlace } from './parts.ts';
import type { Impatience } from './retry.ts';

/** Where an artifact is, and what must hold of it, by the member of the family that serves it. */
export type SourceSpec =
  /** A file of our own file system; relative paths start at the context's base folder. */
  | { readonly type: 'file'; readonly path: string; readonly digest?: string; readonly size?: number }
  | { readonly type: 'http'; readonly url: string; readonly digest?: string; readonly size?: number }
  /** A file of an OCI artifact in a registry: the only one, or the one titled `file`. `digest`: the file's. */
  | ({ readonly type: 'oci'; readonly reference: string; readonly plainHttp?: boolean } & ArtifactFile)
  /** The same in a folder with an OCI layout: the only tag, or the one named. */
  | ({ readonly type: 'oci-layout'; readonly path: string; readonly tag?: string } & ArtifactFile)
  /** One file of a container image in a registry or layout. */
  | {
      readonly type: 'image-file';
      readonly reference?: string;
      readonly plainHttp?: boolean;
      readonly layout?: string;
      readonly tag?: string;
      readonly member: string;
      readonly architecture?: string;
      readonly digest?: string;
    }
  /** A container image of a registry, as an archive to import. `digest`: of what the reference names. */
  | {
      readonly type: 'container-image';
      readonly reference: string;
      readonly plainHttp?: boolean;
      readonly architecture?: string;
      readonly digest?: string;
    }
  /** The highest revision of a version in a repository, for an architecture in any vocabulary. */
  | ({
      readonly type: 'apt';
      readonly suite: string;
      readonly components: readonly string[];
      /** Path of a keyring, or armoured keys. */
      readonly signedBy: string;
    } & RepositoryPackage)
  | ({
      readonly type: 'dnf';
      /** Paths of keys, or armoured keys. */
      readonly keys: readonly string[];
      /** The metadata is signed, too; packages need no signature of their own then. */
      readonly repositorySigned?: boolean;
    } & RepositoryPackage);

interface RepositoryPackage {
  readonly url: string;
  readonly package: string;
  readonly version: string;
  readonly architecture: string;
  readonly digest?: string;
}

interface ArtifactFile {
  readonly file?: string;
  /** Chosen from an index; in Go's names. */
  readonly architecture?: string;
  readonly digest?: string;
  readonly size?: number;
}

/** A server asked before a registry, as in containerd's hosts.toml. */
export interface RegistryMirror {
  /** The registry as it stands in references; `_default` for all. */
  readonly host: string;
  readonly url: string;
  /** The URL already names the API's root, so /v2 is not appended. */
  readonly overridePath?: boolean;
  /** Where this server is to be trusted by other authorities. */
  readonly client?: HttpClient;
}

/** Checks an OCI artifact's signature before anything of it is used; throws to refuse it. */
export type VerifyArtifact = (subject: {
  readonly repository: Repository;
  /** Of the manifest or index that the reference names. */
  readonly digest: string;
  readonly reference: string;
}) => Promise<void>;

/** What fetching needs of a host: files and programs of our own machine, network and clock. */
export type FetchHost = Pick<Host, 'local' | 'localExec' | 'program' | 'archives' | 'clock'>;

/** What every member fetches with. */
export interface FetchContext extends FetchHost {
  /** Where relative paths start: absolute. */
  readonly base: string;
  /** Where downloads land, in our own file system. */
  readonly folder: string;
  /** Where what broke off waits for the next run; it begins anew when absent. */
  readonly parts?: PartsPlace;
  readonly client: HttpClient;
  readonly budgetMs: number;
  /** Of registries; those of the user's Docker configuration when absent. */
  readonly credentials?: CredentialStore;
  readonly mirrors?: readonly RegistryMirror[];
  readonly verify?: VerifyArtifact;
  readonly impatience?: Impatience;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** An artifact that is at hand. */
export interface Fetched {
  /** In our own file system. */
  readonly path: string;
  /** `sha256:…` of the whole artifact. */
  readonly digest: string;
  readonly size: number;
  /** Where it came from, without secrets: for the index and the lock file. */
  readonly location: string;
  /** As a repository states it. */
  readonly version?: string;
  /** True when `path` is our own copy, to be removed after use. */
  readonly temporary: boolean;
}

/** A member of the family. */
export interface ArtifactSource<Type extends SourceSpec['type']> {
  readonly type: Type;
  fetch(spec: Extract<SourceSpec, { type: Type }>, context: FetchContext): Promise<Fetched>;
}
