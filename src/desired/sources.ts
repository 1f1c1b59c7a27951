/**
 * From what documents say about sources to the sources of a binary resource, in the order to try. The order itself is
 * `artifacts/order.ts`; here templates are expanded and typed configuration becomes locations. Pure.
 */
import { debArch, parseArch, rpmArch, systemdArch } from '../model/arch.ts';
import { sourceOrder } from '../artifacts/order.ts';
import type { OrderedSource, SourceConfiguration, SourceOrder } from '../artifacts/order.ts';
import { asReference, mirrorTag } from '../artifacts/reference.ts';
import { parseVersion } from '../model/version.ts';
import type { BinarySourcesItem, NodeSpec, ToolItem, TransferItem } from '../config/complete.ts';
import { parseDuration } from '../config/duration.ts';
import type { ManifestSource, RepositoryDocument } from '../config/schema-sources.ts';
import { holdsSecret } from '../config/secrets.ts';
import { expandTemplate } from '../config/template.ts';
import type { TemplateValues } from '../config/template.ts';
import type { Facts } from '../model/facts.ts';
import { reveal } from '../model/resources.ts';
import type { ArtifactLocation, BinarySource, SignatureRequirement, TransferSettings } from '../model/resources.ts';
import { isAbsolute } from '../model/path.ts';

type PackageSource = Exclude<BinarySource, { type: 'cache' }>;

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

/** The tool's own sources stand in for those of all tools. */
export function toolSources(tool: string, item: ToolItem, { binaries, facts }: Context): ToolSources {
  const values = templateValues(tool, item.version, facts);
  const documents: BinarySourcesItem = item.sources ?? binaries.sources ?? {};
  const { local, mirror, repository, tarball } = documents;
  const configuration: SourceConfiguration = {
    version: item.version,
    policy: binaries.policy,
    ...(item.url !== undefined && { customUrl: expandTemplate(reveal(item.url), values) }),
    ...(item.privateUrl !== undefined && { privateUrl: expandTemplate(reveal(item.privateUrl), values) }),
    ...(local && { local: { kind: local.type, directory: expandTemplate(local.directory, values) } }),
    ...(mirror && {
      mirror: { registry: expandTemplate(mirror.reference, values), ...(mirror.since && { since: mirror.since }) },
    }),
    ...(repository && { repository: { kind: repository.type, ...(repository.since && { since: repository.since }) } }),
    ...(tarball && { tarball: { url: expandTemplate(reveal(tarball.url), values) } }),
  };
  const order = sourceOrder(configuration);
  return {
    sources: order.sources.flatMap((source) => toolSource(source, { item, documents, values })),
    // What nobody configured needs no explanation.
    passedOver: order.skipped.filter(
      ({ source }) => source === 'cache' || (source !== 'custom' && configuration[source]),
    ),
  };
}

interface Context {
  readonly binaries: NodeSpec['binaries'];
  readonly facts: Facts;
}

function toolSource(
  source: OrderedSource,
  { item, documents, values }: { item: ToolItem; documents: BinarySourcesItem; values: TemplateValues },
): BinarySource[] {
  const inside = (member: string | undefined) => ({
    ...(member !== undefined && { member: expandTemplate(member, values) }),
  });
  switch (source.type) {
    case 'custom':
      return [
        {
          type: item.type,
          role: 'custom',
          from: addressed(source.url),
          ...inside(item.member),
          ...(item.digest !== undefined && { digest: item.digest }),
        },
      ];
    case 'cache':
      return [{ type: 'cache', version: item.version }];
    case 'local': {
      if (source.kind === 'sysext') return [];
      const from: ArtifactLocation = { type: 'folder', path: source.directory };
      return [{ type: source.kind, role: 'local', from, ...inside(documents.local?.member) }];
    }
    case 'mirror': {
      const { mirror } = documents;
      if (!mirror) return [];
      const from = ociLocation({ ...mirror, reference: source.registry }, values);
      return [{ type: mirror.type ?? 'tarball', role: 'mirror', from, ...inside(mirror.member) }];
    }
    case 'repository': {
      const { repository } = documents;
      return repository ? [{ ...packageOf(repository, item.package, values), role: 'repository' }] : [];
    }
    // Extensions are resources of their own.
    case 'registry':
      return [];
    case 'tarball': {
      const { tarball } = documents;
      const digest = tarball?.digest;
      const from = addressed(source.url);
      return [
        {
          type: tarball?.type ?? 'tarball',
          role: 'tarball',
          from,
          ...inside(tarball?.member),
          ...(digest !== undefined && { digest }),
        },
      ];
    }
  }
}

// ── of an ImageManifest's builds ─────────────────────────────────────────────────────────────────────────────────

/** `located`: makes a path of the manifest absolute. */
export function manifestBinarySource(
  source: ManifestSource,
  values: TemplateValues,
  { digest, located }: { digest: string | undefined; located: (path: string) => string },
): PackageSource | undefined {
  const common = { role: 'manifest', ...(digest !== undefined && { digest }) } as const;
  const expand = (text: string): string => expandTemplate(text, values);
  switch (source.type) {
    case 'apt':
    case 'dnf':
      return { ...packageOf(source, source.package, values, located), ...common };
    case 'image': {
      const tag = source.tag === undefined ? {} : { tag: expand(source.tag) };
      const from: ArtifactLocation | undefined =
        source.reference !== undefined
          ? { type: 'image', reference: expand(source.reference), ...plain(source.plainHttp) }
          : source.layout !== undefined
            ? { type: 'image-layout', path: located(expand(source.layout)), ...tag }
            : undefined;
      return from && { type: 'file', from, member: expand(source.member), ...common };
    }
    case 'deb':
    case 'rpm':
    case 'tarball':
    case 'file': {
      const from = manifestLocation(source, values, located);
      if (!from) return undefined;
      const member = 'member' in source && source.member !== undefined ? expand(source.member) : undefined;
      return { type: source.type, from, ...(member !== undefined && { member }), ...common };
    }
  }
}

type FileSource = Extract<ManifestSource, { type: 'deb' | 'rpm' | 'tarball' | 'file' }>;

/** Path, URL, OCI reference, OCI layout: the first that is given. */
function manifestLocation(
  source: FileSource,
  values: TemplateValues,
  located: (path: string) => string,
): ArtifactLocation | undefined {
  const expand = (text: string): string => expandTemplate(text, values);
  if (source.path !== undefined) return { type: 'path', path: located(expand(source.path)) };
  if (source.url !== undefined) return addressed(expand(source.url));
  if (source.reference !== undefined) return ociLocation({ ...source, reference: expand(source.reference) }, values);
  if (source.layout === undefined) return undefined;
  return {
    type: 'oci-layout',
    path: located(expand(source.layout)),
    ...(source.tag !== undefined && { tag: expand(source.tag) }),
    ...(source.file !== undefined && { file: expand(source.file) }),
  };
}

// ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An address is a URL or an OCI reference; they cannot be mistaken for each other. */
export function addressed(address: string): Extract<ArtifactLocation, { type: 'url' | 'oci' }> {
  if (asReference(address)) return { type: 'oci', reference: address };
  return { type: 'url', url: holdsSecret(address) ? { sensitive: address } : address };
}

interface OciDocument {
  readonly reference: string;
  readonly file?: string | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly signature?: SignatureRequirement | undefined;
}

function ociLocation({ reference, file, plainHttp, signature }: OciDocument, values: TemplateValues): ArtifactLocation {
  return {
    type: 'oci',
    reference,
    ...(file !== undefined && { file: expandTemplate(file, values) }),
    ...plain(plainHttp),
    ...(signature && { signature }),
  };
}

function plain(plainHttp: boolean | undefined): { readonly plainHttp?: true } {
  return plainHttp === true ? { plainHttp } : {};
}

type PackageRepository = (RepositoryDocument | Extract<ManifestSource, { type: 'apt' | 'dnf' }>) & {
  readonly member?: string | undefined;
};

function packageOf(
  repository: PackageRepository,
  name: string | undefined,
  values: TemplateValues,
  located: (path: string) => string = (path) => path,
): Omit<PackageSource, 'role'> {
  const member = repository.member === undefined ? {} : { member: expandTemplate(repository.member, values) };
  const url = expandTemplate(repository.url, values);
  const keyAt = (key: string): string => (key.includes('-----BEGIN') || isAbsolute(key) ? key : located(key));
  if (repository.type === 'apt') {
    const suite = expandTemplate(repository.suite, values);
    const components = repository.components ?? ['main'];
    const signedBy = keyAt(repository.signedBy);
    return {
      type: 'deb',
      from: { type: 'apt', url, suite, components, package: name ?? values.tool, signedBy },
      ...member,
    };
  }
  return {
    type: 'rpm',
    from: {
      type: 'dnf',
      url,
      package: name ?? values.tool,
      keys: repository.keys.map(keyAt),
      ...(repository.repositorySigned === true && { repositorySigned: true }),
    },
    ...member,
  };
}

const defaultBudgetMs = 300_000;

export function transferSettings(item: TransferItem | undefined): TransferSettings | undefined {
  if (!item) return undefined;
  return {
    budgetMs: item.budget === undefined ? defaultBudgetMs : parseDuration(item.budget),
    ...(item.caFile !== undefined && { caFile: item.caFile }),
    ...(item.proxy !== undefined && { proxy: item.proxy }),
    ...(item.noProxy !== undefined && { noProxy: item.noProxy }),
    ...(item.mirrors !== undefined && {
      mirrors: item.mirrors.map(({ host, url, overridePath }) => ({
        host,
        url,
        ...(overridePath === true && { overridePath }),
      })),
    }),
  };
}
