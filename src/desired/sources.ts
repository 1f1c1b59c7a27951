/**
 * From what documents say about sources to the sources of a binary resource, in the order to try. The order itself is
 * `artifacts/order.ts`; here templates are expanded and typed configuration becomes locations. Pure.
 */
import { isAbsolute } from '../model/path.ts';
import { debArch, parseArch, rpmArch, systemdArch } from '../model/arch.ts';
import { artifactSourceOrder } from '../artifacts/order.ts';
import type { OrderedSource, SourceConfiguration, SourceOrder } from '../artifacts/order.ts';
import { asReference, mirrorTag } from '../model/reference.ts';
import { parseVersion } from '../model/version.ts';
import type { NodeSpec } from '../config/complete.ts';
import type { BinarySourcesItem, ToolItem, TransferItem } from '../config/complete-items.ts';
import { nothingLeft } from '../config/completion.ts';
import { parseDuration } from '../config/duration.ts';
import type { ManifestSource, RepositoryDocument } from '../config/schema-sources.ts';
import { addressOf } from '../model/shown-address.ts';
import { expandTemplate } from '../config/template.ts';
import type { TemplateValues } from '../config/template.ts';
import type { Facts } from '../model/facts.ts';
import { reveal } from '../model/resources.ts';
import type {
  ArtifactLocation,
  BinarySource,
  PackageSource,
  SignatureRequirement,
  TransferSettings,
} from '../model/resources.ts';

/** What placeholders stand for, for one version of one program on one machine. */
export function templateValues(tool: string, version: string, facts: Facts): TemplateValues {
  const arch = parseArch(facts.arch.cpu);
  return {
    tool,
    version,
    upstream: parseVersion(version).upstream,
    tag: mirrorTag(version),
    arch,
    debArch: debArch(arch),
    rpmArch: rpmArch(arch),
    systemdArch: systemdArch(arch),
  };
}

// ── of a NodeConfig's tools ──────────────────────────────────────────────────────────────────────────────────────

export interface ToolSources {
  readonly sources: readonly BinarySource[];
  readonly passedOver: SourceOrder['skipped'];
}

/** What a tool says about where it comes from. */
type ToolOrigin = Omit<ToolItem, 'target' | 'importance' | 'scope' | 'takeover' | 'needs' | 'deferrable'>;

interface Context {
  readonly policy: NodeSpec['binaries']['policy'];
  readonly sources: NodeSpec['binaries']['sources'];
  readonly facts: Facts;
}

/** The tool's own sources stand in for those of all tools. */
export function toolSources(tool: string, item: ToolOrigin, context: Context): ToolSources {
  const { policy, version, url, privateUrl, digest, member, type, package: packageName, sources, ...rest } = item;
  nothingLeft(rest);
  const values = templateValues(tool, version, context.facts);
  const offers = offersOf(sources ?? context.sources ?? {}, packageName, values);
  const configuration: SourceConfiguration = {
    version,
    policy: policy ?? context.policy,
    ...(url !== undefined && { customUrl: expandTemplate(reveal(url), values) }),
    ...(privateUrl !== undefined && { privateUrl: expandTemplate(reveal(privateUrl), values) }),
    ...(offers.local && { local: offers.local.configuration }),
    ...(offers.mirror && { mirror: offers.mirror.configuration }),
    ...(offers.repository && { repository: offers.repository.configuration }),
    ...(offers.tarball && { tarball: offers.tarball.configuration }),
  };
  const order = artifactSourceOrder(configuration);
  const custom = { digest, type, ...inside(member, values) };
  return {
    sources: order.sources.flatMap((source) => offered(source, { version, offers, custom })),
    // What nobody configured needs no explanation.
    passedOver: order.skipped.filter(
      ({ source }) => source === 'cache' || (source !== 'custom' && configuration[source]),
    ),
  };
}

/** A configured source: what its place in the order depends on, and what it is for the resource. */
interface Offer<Role extends 'local' | 'mirror' | 'repository' | 'tarball'> {
  readonly configuration: NonNullable<SourceConfiguration[Role]>;
  readonly source: PackageSource;
}

type Offers = { readonly [Role in 'local' | 'mirror' | 'repository' | 'tarball']?: Offer<Role> | undefined };

function offersOf(documents: BinarySourcesItem, packageName: string | undefined, values: TemplateValues): Offers {
  const { local, mirror, repository, tarball, ...rest } = documents;
  nothingLeft(rest);
  return {
    local: local && localOffer(local, values),
    mirror: mirror && mirrorOffer(mirror, values),
    repository: repository && repositoryOffer(repository, packageName, values),
    tarball: tarball && tarballOffer(tarball, values),
  };
}

type Documented<Role extends keyof BinarySourcesItem> = NonNullable<BinarySourcesItem[Role]>;

function localOffer({ type, directory, member, ...rest }: Documented<'local'>, values: TemplateValues): Offer<'local'> {
  nothingLeft(rest);
  const path = expandTemplate(directory, values);
  return {
    configuration: { kind: type, directory: path },
    source: { type, role: 'local', from: { type: 'folder', path }, ...inside(member, values) },
  };
}

function mirrorOffer(mirror: Documented<'mirror'>, values: TemplateValues): Offer<'mirror'> {
  const { reference, type = 'tarball', member, file, plainHttp, since, signature, ...rest } = mirror;
  nothingLeft(rest);
  const registry = expandTemplate(reference, values);
  const from = ociLocation({ reference: registry, file, plainHttp, signature }, values);
  return {
    configuration: { registry, ...(since !== undefined && { since }) },
    source: { type, role: 'mirror', from, ...inside(member, values) },
  };
}

function repositoryOffer(
  { since, ...repository }: Documented<'repository'>,
  packageName: string | undefined,
  values: TemplateValues,
): Offer<'repository'> {
  return {
    configuration: { kind: repository.type, ...(since !== undefined && { since }) },
    source: { ...packageOf(repository, { name: packageName, values }), role: 'repository' },
  };
}

function tarballOffer(tarball: Documented<'tarball'>, values: TemplateValues): Offer<'tarball'> {
  const { url, type = 'tarball', member, digest, ...rest } = tarball;
  nothingLeft(rest);
  const address = expandTemplate(reveal(url), values);
  return {
    configuration: { url: address },
    source: {
      type,
      role: 'tarball',
      from: addressed(address),
      ...inside(member, values),
      ...(digest !== undefined && { digest }),
    },
  };
}

function inside(member: string | undefined, values: TemplateValues): { readonly member?: string } {
  return member === undefined ? {} : { member: expandTemplate(member, values) };
}

function offered(
  source: OrderedSource,
  about: {
    readonly version: string;
    readonly offers: Offers;
    readonly custom: {
      readonly type: PackageSource['type'];
      readonly member?: string;
      readonly digest?: string | undefined;
    };
  },
): BinarySource[] {
  switch (source.type) {
    case 'custom': {
      const { digest, ...custom } = about.custom;
      const from = addressed(source.url);
      return [{ ...custom, role: 'custom', from, ...(digest !== undefined && { digest }) }];
    }
    case 'cache':
      return [{ type: 'cache', version: about.version }];
    case 'local':
    case 'mirror':
    case 'repository':
    case 'tarball': {
      const offer = about.offers[source.type];
      return offer ? [offer.source] : [];
    }
    // Extensions are resources of their own.
    case 'registry':
      return [];
  }
}

// ── of an ImageManifest's builds ─────────────────────────────────────────────────────────────────────────────────

interface ManifestContext {
  readonly digest: string | undefined;
  /** Each path of the manifest in one form. */
  readonly located: (path: string) => string;
}

/** Undefined when the source names no place. */
export function manifestBinarySource(
  source: ManifestSource,
  values: TemplateValues,
  { digest, located }: ManifestContext,
): PackageSource | undefined {
  const common = { role: 'manifest', ...(digest !== undefined && { digest }) } as const;
  switch (source.type) {
    case 'apt':
    case 'dnf': {
      const { package: name, ...repository } = source;
      return { ...packageOf(repository, { name, values, located }), ...common };
    }
    case 'image': {
      const { type: _type, member, ...place } = source;
      const from = imageLocation(place, values, located);
      return from && { type: 'file', from, ...inside(member, values), ...common };
    }
    case 'deb':
    case 'rpm':
    case 'tarball': {
      const { type, member, ...place } = source;
      const from = manifestLocation(place, values, located);
      return from && { type, from, ...inside(member, values), ...common };
    }
    case 'file': {
      const { type, ...place } = source;
      const from = manifestLocation(place, values, located);
      return from && { type, from, ...common };
    }
  }
}

type ManifestImage = Omit<Extract<ManifestSource, { type: 'image' }>, 'type' | 'member'>;

/** A container image in a registry, or in a layout. */
function imageLocation(
  { reference, layout, tag, plainHttp, ...rest }: ManifestImage,
  values: TemplateValues,
  located: (path: string) => string,
): ArtifactLocation | undefined {
  nothingLeft(rest);
  const expand = (text: string): string => expandTemplate(text, values);
  if (reference !== undefined) return { type: 'image', reference: expand(reference), ...plain(plainHttp) };
  if (layout === undefined) return undefined;
  return { type: 'image-layout', path: located(expand(layout)), ...(tag !== undefined && { tag: expand(tag) }) };
}

type ManifestFile = Omit<Extract<ManifestSource, { type: 'file' }>, 'type'>;

/** Path, URL, OCI reference, OCI layout: the first that is given. */
function manifestLocation(
  { path, url, reference, layout, tag, file, plainHttp, signature, ...rest }: ManifestFile,
  values: TemplateValues,
  located: (path: string) => string,
): ArtifactLocation | undefined {
  nothingLeft(rest);
  const expand = (text: string): string => expandTemplate(text, values);
  if (path !== undefined) return { type: 'path', path: located(expand(path)) };
  if (url !== undefined) return addressed(expand(url));
  if (reference !== undefined) return ociLocation({ reference: expand(reference), file, plainHttp, signature }, values);
  if (layout === undefined) return undefined;
  return {
    type: 'oci-layout',
    path: located(expand(layout)),
    ...(tag !== undefined && { tag: expand(tag) }),
    ...(file !== undefined && { file: expand(file) }),
  };
}

// ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An address is a URL or an OCI reference; they cannot be mistaken for each other. */
export function addressed(address: string): Extract<ArtifactLocation, { type: 'url' | 'oci' }> {
  if (asReference(address)) return { type: 'oci', reference: address };
  return { type: 'url', url: addressOf(address) };
}

interface OciDocument {
  readonly reference: string;
  readonly file?: string | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly signature?: SignatureDocument | undefined;
}

function ociLocation({ reference, file, plainHttp, signature }: OciDocument, values: TemplateValues): ArtifactLocation {
  return {
    type: 'oci',
    reference,
    ...(file !== undefined && { file: expandTemplate(file, values) }),
    ...plain(plainHttp),
    ...(signature && { signature: signatureOf(signature) }),
  };
}

type SignatureDocument = NonNullable<NonNullable<BinarySourcesItem['mirror']>['signature']>;

/** Who must have signed an artifact, as a resource says it. */
export function signatureOf(document: SignatureDocument): SignatureRequirement {
  if ('key' in document) {
    const { key, ...rest } = document;
    nothingLeft(rest);
    return { key };
  }
  const { trustedRoot, identity, issuer, ...rest } = document;
  nothingLeft(rest);
  return { trustedRoot, identity, issuer };
}

function plain(plainHttp: boolean | undefined): { readonly plainHttp?: true } {
  return plainHttp === true ? { plainHttp } : {};
}

/** `Omit` of every member of a union. */
type Without<Union, Keys extends PropertyKey> = Union extends unknown ? Omit<Union, Keys> : never;
type PackageRepository =
  | Without<RepositoryDocument, 'since'>
  | Without<Extract<ManifestSource, { type: 'apt' | 'dnf' }>, 'package'>;

interface PackageContext {
  /** Of the package; the tool's when absent. */
  readonly name: string | undefined;
  readonly values: TemplateValues;
  /** The path of a key in one form. */
  readonly located?: (path: string) => string;
}

function packageOf(
  repository: PackageRepository,
  { name, values, located = (path) => path }: PackageContext,
): Omit<PackageSource, 'role'> {
  const keyAt = (key: string): string => (key.includes('-----BEGIN') || isAbsolute(key) ? key : located(key));
  const packageName = name ?? values.tool;
  switch (repository.type) {
    case 'apt': {
      const { type, url, suite, components = ['main'], signedBy, member, ...rest } = repository;
      nothingLeft(rest);
      return {
        type: 'deb',
        from: {
          type,
          url: addressOf(expandTemplate(url, values)),
          suite: expandTemplate(suite, values),
          components,
          package: packageName,
          signedBy: keyAt(signedBy),
        },
        ...inside(member, values),
      };
    }
    case 'dnf': {
      const { type, url, keys, repositorySigned, member, ...rest } = repository;
      nothingLeft(rest);
      return {
        type: 'rpm',
        from: {
          type,
          url: addressOf(expandTemplate(url, values)),
          package: packageName,
          keys: keys.map(keyAt),
          ...(repositorySigned === true && { repositorySigned }),
        },
        ...inside(member, values),
      };
    }
  }
}

const defaultBudgetMs = 300_000;

export function transferSettings(item: TransferItem | undefined): TransferSettings | undefined {
  if (!item) return undefined;
  const { budget, caFile, proxy, noProxy, mirrors, ...rest } = item;
  nothingLeft(rest);
  return {
    budgetMs: budget === undefined ? defaultBudgetMs : parseDuration(budget),
    ...(caFile !== undefined && { caFile }),
    ...(proxy !== undefined && { proxy }),
    ...(noProxy !== undefined && { noProxy }),
    ...(mirrors !== undefined && { mirrors: mirrors.map(mirrorOf) }),
  };
}

type TransferMirror = NonNullable<TransferItem['mirrors']>[number];

function mirrorOf({
  host,
  url,
  overridePath,
  ...rest
}: TransferMirror): NonNullable<TransferSettings['mirrors']>[number] {
  nothingLeft(rest);
  return { host, url: addressOf(url), ...(overridePath === true && { overridePath }) };
}
