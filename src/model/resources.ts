/**
 * Resources: what a document asks of a host, as data. `desired/` renders them from a document and facts; `kinds/<kind>/`
 * knows how each is compared, planned and applied; `plan/` puts the changes of all kinds in one order.
 *
 * An id is `kind:name` and unique within a generation. Everything here is JSON: a generation is stored as it stands, with
 * sensitive content in it (marked, see `SensitiveText`), in files that only root can read.
 *
 * Units of measure: bytes, milliseconds, modes as `"0644"` strings, digests as `sha256:<hex>`.
 */
import { NodekilnError } from '../errors.ts';

/** Every kind and what it is. All that has to know the kinds is mapped over this, so that a new one is missed nowhere. */
export interface Resources {
  readonly file: FileResource;
  readonly unit: UnitResource;
  readonly binary: BinaryResource;
  readonly extension: ExtensionResource;
  readonly image: ContainerImageResource;
  readonly kernel: KernelResource;
  readonly action: ActionResource;
}

/** The kinds of resources. */
export type ResourceKind = keyof Resources;
/** What a document asks of a host, as data. */
export type Resource = Resources[ResourceKind];
/** `file:/etc/hosts`, `unit:kubelet.service`: unique in what is asked of a host. */
export type ResourceId = `${ResourceKind}:${string}`;

/** Who brought a resource. A document removes only what its own source brought. */
export type ClaimSource = 'image' | 'boot' | 'agent';

/** From the first to the last word: what a later source takes over from an earlier one is the later one's. */
export const claimSourceOrder: readonly ClaimSource[] = ['image', 'boot', 'agent'];

/** The resource whose readiness every schedule works towards, where a document brings it: kubelet answers its healthz. */
export const nodeGoal: ResourceId = 'unit:kubelet.service';

/** `shared` resources may be captured in an image of a half-booted machine; `node` ones belong to one machine. */
export type Scope = 'shared' | 'node';

/**
 * What a failure means, and whether the work may wait until kubelet answers:
 * `required` fails the boot, `bestEffort` degrades it, `background` is only reported.
 */
export type Importance = 'required' | 'bestEffort' | 'background';

const importances: readonly Importance[] = ['required', 'bestEffort', 'background'];

/** The most important of these; `background` of none. */
export function mostImportant(all: Iterable<Importance>): Importance {
  const given = new Set(all);
  return importances.find((importance) => given.has(importance)) ?? 'background';
}

/** What every resource says of itself. */
export interface ResourceBase {
  readonly id: ResourceId;
  readonly scope: Scope;
  /** May run after the goal when true; otherwise it precedes the goal. Kernel settings, mounts, identity, trust and runtime configuration are never deferrable. */
  readonly deferrable: boolean;
  readonly importance: Importance;
  /** Resources that must be in place first, beside those that follow from paths and units. */
  readonly needs: readonly ResourceId[];
  /** Claims a resource another source owns. */
  readonly takeover?: boolean;
  /** The place in a document it comes from, for messages: `node.yaml:12:5`. */
  readonly origin?: string;
}

/** Text that must not appear in logs, plans, errors or generations readable by others. Redaction goes by this shape. */
export interface SensitiveText {
  readonly sensitive: string;
}

/** A place in a network: sensitive when it has a user, password, query or fragment, and shown without these. */
export type Address = string | SensitiveText;

/** Content that stands in the document itself. */
export type InlineContent = { readonly text: string | SensitiveText } | { readonly base64: string | SensitiveText };

export type FileContent = InlineContent | { readonly image: ImageFile };

/**
 * A file inside a container image, as a container started from it would see it. It is taken out without a runtime, once:
 * what a tag names later is another question.
 */
export interface ImageFile {
  /** `registry.example/team/kubelet:v1.34.3`, with a tag or a digest. */
  readonly reference: string;
  /** Path inside the image. */
  readonly member: string;
  /** `amd64`, `arm64`: an image for another is refused. Absent: the only one there is. */
  readonly architecture?: string;
  /** Of the file itself. */
  readonly digest?: string;
  readonly transfer?: TransferSettings;
}

/** A file, folder or symbolic link at a path. */
export interface FileResource extends ResourceBase {
  readonly kind: 'file';
  readonly path: string;
  readonly entry:
    | {
        readonly type: 'file';
        readonly content: FileContent;
        readonly mode: string;
        readonly uid: number;
        readonly gid: number;
      }
    | { readonly type: 'directory'; readonly mode: string; readonly uid: number; readonly gid: number }
    | { readonly type: 'symlink'; readonly target: string };
  /** Servers that the file sends others to: other content is written only once all of them answer. */
  readonly onceReachable?: Reachability;
}

/** Servers that must answer, whatever they say, until a deadline that counts from the first question. */
export interface Reachability {
  readonly servers: readonly {
    readonly url: Address;
    /** Paths of certificates (PEM) trusted for it instead of the machine's. */
    readonly caFiles?: readonly string[];
  }[];
  readonly deadlineMs: number;
}

export interface DropIn {
  /** `50-nodekiln.conf` */
  readonly name: string;
  readonly content: string | SensitiveText;
}

/** How a component says that it is ready, beyond `active`. */
export type Readiness =
  | { readonly type: 'active' }
  /** GET answers 200. `http://127.0.0.1:10248/healthz` */
  | { readonly type: 'http'; readonly url: Address }
  /** A Unix socket accepts connections. */
  | { readonly type: 'socket'; readonly path: string };

/** A systemd unit: its file, drop-ins, enablement and state. */
export interface UnitResource extends ResourceBase {
  readonly kind: 'unit';
  /** `kubelet.service` */
  readonly name: string;
  /** The unit file in /etc/systemd/system; absent when only drop-ins or state are ours (a vendor's unit). */
  readonly content?: string | SensitiveText;
  readonly dropIns: readonly DropIn[];
  /** Left as it is when absent. */
  readonly enablement?: 'enabled' | 'disabled' | 'masked';
  /** Left as it is when absent. */
  readonly state?: 'started' | 'stopped';
  /** A change of any of these restarts (or reloads) the unit: files it reads, binaries it runs. */
  readonly inputs: readonly ResourceId[];
  /** As `inputs`, but read at a start alone: that one of them goes away changes nothing for what runs. */
  readonly startInputs?: readonly ResourceId[];
  readonly onChange: 'restart' | 'reload' | 'none';
  readonly readiness: Readiness;
  /** From the start being queued to ready. */
  readonly deadlineMs: number;
}

/**
 * Where an artifact is had from. `path` and `layout` are in the file system of the machine that works (on the host at boot;
 * at bake those of the manifest, relative to its folder where they are written so). `folder`: the right package of a folder, by the packages' own metadata.
 * `oci`: the only blob of an OCI artifact, or the one titled `file`. `image`: a member of a container image's layers.
 */
export type ArtifactLocation =
  | { readonly type: 'path'; readonly path: string }
  | { readonly type: 'folder'; readonly path: string }
  /** The program that works itself, wherever it runs from: its bundle, or the runtime under it. */
  | { readonly type: 'own'; readonly part: 'script' | 'executable' }
  | { readonly type: 'url'; readonly url: Address }
  | {
      readonly type: 'oci';
      readonly reference: string;
      readonly file?: string;
      readonly plainHttp?: boolean;
      readonly signature?: SignatureRequirement;
    }
  | { readonly type: 'oci-layout'; readonly path: string; readonly tag?: string; readonly file?: string }
  | { readonly type: 'image'; readonly reference: string; readonly plainHttp?: boolean }
  | { readonly type: 'image-layout'; readonly path: string; readonly tag?: string }
  | {
      readonly type: 'apt';
      readonly url: Address;
      readonly suite: string;
      readonly components: readonly string[];
      readonly package: string;
      /** Path of a keyring, or armoured keys. */
      readonly signedBy: string;
    }
  | {
      readonly type: 'dnf';
      readonly url: Address;
      readonly package: string;
      /** Paths of keys, or armoured keys. */
      readonly keys: readonly string[];
      readonly repositorySigned?: boolean;
    };

/** Who must have signed an OCI artifact, with cosign: a key (path or PEM), or an identity vouched for by a pinned root. */
export type SignatureRequirement =
  | { readonly key: string }
  | { readonly trustedRoot: string; readonly identity: string; readonly issuer: string };

/** How transfers are made. */
export interface TransferSettings {
  /** For one artifact, retries included. */
  readonly budgetMs: number;
  /** Path of certificates (PEM) trusted instead of the machine's. */
  readonly caFile?: string;
  /** May hold a password. */
  readonly proxy?: SensitiveText;
  readonly noProxy?: readonly string[];
  /** Servers asked before a registry, in order. `host` as in references, `_default` for all registries. */
  readonly mirrors?: readonly {
    readonly host: string;
    readonly url: Address;
    readonly overridePath?: boolean;
    /** Paths of certificates (PEM) trusted for this server instead of the machine's. */
    readonly caFiles?: readonly string[];
  }[];
}

/** Which place in the order of sources one has: see `artifacts/order.ts`. `manifest`: the one an ImageManifest names. */
export type ArtifactSourceRole =
  | 'custom'
  | 'cache'
  | 'local'
  | 'mirror'
  | 'repository'
  | 'registry'
  | 'tarball'
  | 'manifest';

/** What a program comes in; each is read by a member of `artifacts/formats/`. */
export type PackageForm = 'deb' | 'rpm' | 'tarball' | 'file';

/** Where a binary can come from, in the order to try. Decided by `artifacts/order.ts` from typed configuration. */
export type BinarySource =
  | { readonly type: 'cache'; readonly version: string }
  | {
      readonly type: PackageForm;
      readonly role: ArtifactSourceRole;
      readonly from: ArtifactLocation;
      /** Path inside the package; inside the image for `image`. */
      readonly member?: string;
      /** Of the package; of the file itself for `file`. */
      readonly digest?: string;
    };

/** One that is not the cache. */
export type PackageSource = Exclude<BinarySource, { readonly type: 'cache' }>;

/** A program: kept in the cache, or put at its place. */
export interface BinaryResource extends ResourceBase {
  readonly kind: 'binary';
  /** `kubelet` */
  readonly tool: string;
  /** As asked for, `1.34.3`; compared by `artifacts/version.ts` only. */
  readonly version: string;
  /** `amd64`, `arm64`: programs for another are refused. Absent: any. */
  readonly architecture?: string;
  readonly sources: readonly BinarySource[];
  /** Sources that have no part, and why: for `nodekiln plan`. */
  readonly passedOver?: readonly { readonly source: string; readonly why: string }[];
  readonly transfer?: TransferSettings;
  /** `cache`: keep it as `/opt/bin/<tool>-<key>` and in the index. `activate`: put it at `target`. */
  readonly place: { readonly type: 'cache' } | { readonly type: 'activate'; readonly target: string };
}

/** A system extension (systemd-sysext) merged into /usr. */
export interface ExtensionResource extends ResourceBase {
  readonly kind: 'extension';
  /** As systemd knows it: `/etc/extensions/<name>.raw`. */
  readonly name: string;
  /** `1.34.3`, or a line (`1.34`) for its newest release. Absent: whatever the source gives. */
  readonly version?: string;
  /** `amd64`, `arm64` */
  readonly architecture: string;
  /** In the order to try. */
  readonly sources: readonly ExtensionSource[];
  /** Of the image. */
  readonly digest?: string;
  /** Programs of its /usr/bin, linked from /opt/bin. */
  readonly tools: readonly string[];
  readonly transfer?: TransferSettings;
}

/** Where a system extension can come from. */
export type ExtensionSource =
  /** A `.raw` image, a folder that holds such images, or an extension that is a folder (it has a `usr`). */
  | { readonly type: 'local'; readonly path: string }
  /** A repository with a tag `v<version>-<revision>-<distribution>-<architecture>` for each build. */
  | {
      readonly type: 'registry';
      readonly reference: string;
      /** `1-azlinux3`: completes the tag where tags cannot be listed. */
      readonly revision?: string;
      readonly plainHttp?: boolean;
      readonly signature?: SignatureRequirement;
    }
  | { readonly type: 'url'; readonly url: Address }
  /** An archive with the programs, of which an extension is made. `members`: tool → path inside. */
  | {
      readonly type: 'tarball';
      readonly from: Extract<ArtifactLocation, { type: 'url' | 'oci' }>;
      readonly members: Readonly<Record<string, string>>;
      readonly digest?: string;
    };

/** A container image in containerd’s store. */
export interface ContainerImageResource extends ResourceBase {
  readonly kind: 'image';
  /** `registry.k8s.io/pause:3.10` */
  readonly reference: string;
  /** Archive (OCI layout or docker-archive tar) on the host or beside the manifest; its registry is asked when absent. */
  readonly archive?: string;
  /** Of the archive file; without one of the manifest or index that the reference names. */
  readonly digest?: string;
  /** Its registry speaks plain HTTP. */
  readonly plainHttp?: boolean;
  /** Who must have signed it. */
  readonly signature?: SignatureRequirement;
  /** How the registry is reached. */
  readonly transfer?: TransferSettings;
  /** Kept out of kubelet's image garbage collection (`io.cri-containerd.pinned`). */
  readonly pin?: boolean;
  /** Whether its layers are made into snapshots right away; `auto` (by its size) when absent. */
  readonly unpack?: 'auto' | 'always' | 'never';
  /** `amd64`, `arm64`: an archive without an image for it is refused. Absent: any. */
  readonly architecture?: string;
}

/** A kernel module, or a kernel setting (sysctl). */
export interface KernelResource extends ResourceBase {
  readonly kind: 'kernel';
  readonly setting:
    | { readonly type: 'module'; readonly name: string }
    /** `net.ipv4.ip_forward` = `1` */
    | { readonly type: 'sysctl'; readonly key: string; readonly value: string };
}

/** A command that is run unless its guard says that it is done. */
export interface ActionResource extends ResourceBase {
  readonly kind: 'action';
  readonly argv: readonly string[];
  /** Says that it is already done: a path that exists, or a command that exits 0. */
  readonly guard:
    | { readonly type: 'path'; readonly path: string }
    | { readonly type: 'command'; readonly argv: readonly string[] };
  /** What a document says is sensitive, and what the command says of it is not told. */
  readonly env?: Readonly<Record<string, string | SensitiveText>>;
  /** For everything, further attempts included. */
  readonly timeoutMs: number;
  /** What it is, for people, where the command does not say so: `apt-get install of runc`. */
  readonly title?: string;
  /** Which package manager it runs: what passes of its failures is known, and tried again. */
  readonly packageManager?: PackageManager;
}

/** Who installs packages of a distribution. */
export type PackageManager = 'apt' | 'dnf';

const everyKind: { readonly [K in ResourceKind]: K } = {
  file: 'file',
  unit: 'unit',
  binary: 'binary',
  extension: 'extension',
  image: 'image',
  kernel: 'kernel',
  action: 'action',
};

export const resourceKinds: readonly ResourceKind[] = Object.values(everyKind);

const kindsByName: ReadonlyMap<string, ResourceKind> = new Map(Object.entries(everyKind));

function knownKind(text: string): ResourceKind | undefined {
  return kindsByName.get(text.slice(0, Math.max(0, text.indexOf(':'))));
}

export function isResourceId(text: string): text is ResourceId {
  return knownKind(text) !== undefined;
}

/** NK_INTERNAL when it is none we know: ids come from documents that were checked, or from our own journal. */
export function kindOf(id: ResourceId): ResourceKind {
  const kind = knownKind(id);
  if (!kind) throw new NodekilnError('NK_INTERNAL', `${id} is of no known kind`);
  return kind;
}

/** What follows the kind: a path, a unit's name. */
export function nameOf(id: ResourceId): string {
  return id.slice(id.indexOf(':') + 1);
}

/** Everything a document asks for. Keys are the resources' ids. */
export type ResourceMap = ReadonlyMap<ResourceId, Resource>;

/** A program of the cache that is in use. */
export interface InUse {
  readonly tool: string;
  /** The version that must stay; none of them when the build in use came from elsewhere. */
  readonly version?: string;
}

/** Which versions in the cache are given up after a success. */
export interface CachePolicy {
  /** Versions of each program beside those in use. */
  readonly keep: number;
  /** Of all versions beside those in use. */
  readonly maxBytes?: number;
}

/** What rendering returns: the resources, what reaching the goal means, and remarks for the person. */
export interface DesiredState {
  readonly resources: ResourceMap;
  /** The unit whose readiness is the goal of the schedule (`unit:kubelet.service`), if any. */
  readonly goal: ResourceId | undefined;
  /** Absent: nothing is given up. */
  readonly cache?: CachePolicy;
  readonly warnings: readonly string[];
  /** What follows for this machine from what is not said, or is known only later. */
  readonly notes?: readonly string[];
  /** What of the document is not meant for this system. */
  readonly skipped?: readonly SkippedComponent[];
}

/** A component of an ImageManifest that a system does not get. */
export interface SkippedComponent {
  readonly component: string;
  /** `it is for ubuntu, and this is debian` */
  readonly why: string;
}

export function isSensitive(text: string | SensitiveText): text is SensitiveText {
  return typeof text === 'object';
}

/** The text itself, sensitive or not. Call only where it is written to its place. */
export function reveal(text: string | SensitiveText): string {
  return isSensitive(text) ? text.sensitive : text;
}
