/**
 * From an ImageManifest and the facts of the root it is baked into to resources. Pure.
 *
 * NK_CACHE_CONFLICT when two builds for this machine would be cached under one key, NK_DOCUMENT_INVALID when the
 * manifest contradicts itself.
 */
import { cacheKey, parseVersion } from '../model/version.ts';
import { parseArch } from '../model/arch.ts';
import { completeFile, completeTransfer } from '../config/complete-items.ts';
import { nothingLeft, type Lack } from '../config/completion.ts';
import { documentPaths } from '../config/defaults.ts';
import type { Path } from '../config/paths.ts';
import { apiVersion } from '../config/schema-node.ts';
import type { ArchDigest, Component, ImageManifest, Selector } from '../config/schema-image.ts';
import { expandTemplate } from '../config/template.ts';
import { NodekilnError } from '../errors.ts';
import type { Place } from '../errors.ts';
import type { Facts } from '../model/facts.ts';
import { parseReference, storedName } from '../model/reference.ts';
import { onThePath, type PathReaders } from './own-path.ts';
import { agentUnit, bootUnit } from './own-units.ts';
import { installActions, type Package } from './packages.ts';
import { placesOf } from './places.ts';
import { base, fileOf, textFile, type ItemRenderers } from './render-items.ts';
import { createRendering, readBy, renderParts, sorted, type Parts, type Rendering } from './rendering.ts';
import type {
  ActionResource,
  BinaryResource,
  DesiredState,
  ContainerImageResource,
  Resource,
  ResourceId,
  SkippedComponent,
  TransferSettings,
  UnitResource,
} from '../model/resources.ts';
import { addressed, manifestBinarySource, signatureOf, templateValues, transferSettings } from './sources.ts';
import { isAbsolute, join, normalize } from '../model/path.ts';

/** How an ImageManifest is rendered. */
export interface RenderImageOptions {
  /**
   * The folder that relative paths of the manifest start from. They stay relative unless it is told: an image is asked to be
   * the same wherever its manifest lies, and whoever fetches knows where that is.
   */
  readonly artifactBase?: string;
  /** The place of a value of the manifest, for messages. */
  readonly placeOf?: (path: Path) => Place | undefined;
  /** Who in the root is told where to look for commands, beside its POSIX shells. */
  readonly pathReaders?: PathReaders;
}

type Of<Action extends Component['action']> = Extract<Component, { action: Action }>;
type ImageSpec = ImageManifest['spec'];

interface ImageRendering extends Rendering {
  readonly spec: ImageSpec;
  readonly options: RenderImageOptions;
  readonly transfer: TransferSettings | undefined;
  readonly skipped: SkippedComponent[];
}

/**
 * The resources of a machine image, for a root with these facts. Pure. Errors: NK_CACHE_CONFLICT, NK_DOCUMENT_INVALID.
 */
export function renderImage(manifest: ImageManifest, facts: Facts, options: RenderImageOptions): DesiredState {
  const { spec } = manifest;
  const image: ImageRendering = {
    ...createRendering(facts, (path) => options.placeOf?.(path)),
    spec,
    options,
    transfer: transferSettings(spec.transfer && completeTransfer(spec.transfer)),
    skipped: [],
  };
  renderParts(parts, spec, image);
  image.refuseProblems('the ImageManifest contradicts itself');
  const { resources, warnings, skipped } = image;
  return { resources: sorted(resources), goal: undefined, warnings, ...(skipped.length > 0 && { skipped }) };
}

/** What its items render to, by kind. */
const items = {
  file: { files: fileOf },
  unit: { units: unit },
  binary: { builds: buildOf, downloads: downloadOf },
  extension: { noItem: 'a node merges its own: NodeConfig' },
  image: { images: containerImageOf },
  kernel: { noItem: 'a node has its own settings: NodeConfig' },
  action: { installs: installsOf },
} satisfies ItemRenderers;

/** What is named twice is a contradiction. */
const parts: Parts<ImageSpec, ImageRendering> = {
  transfer: readBy<ImageSpec['transfer']>({
    budget: 'components, all',
    caFile: 'components, all',
    proxy: 'components, all',
    noProxy: 'components, all',
    mirrors: 'components, all',
  }),
  components: renderComponents,
  files: renderFiles,
  nodeConfig: renderNodeConfig,
  verify: readBy<ImageSpec['verify']>({
    absent: 'own-checks.ts',
    present: 'own-checks.ts',
    units: 'own-checks.ts',
    noLogins: 'own-checks.ts',
    freeSpace: 'own-checks.ts',
  }),
  units: renderUnits,
  nodekiln: renderOwn,
};

function addOnce({ resources, report, add }: ImageRendering, resource: Resource, path: Path): void {
  if (resources.has(resource.id)) report(path, `${resource.id} is named a second time for this machine`);
  add(resource, path);
}

function renderComponents(components: ImageSpec['components'], image: ImageRendering): void {
  for (const [index, component] of (components ?? []).entries()) {
    const why = whyNot(component.on, image.facts);
    if (why === undefined) renderComponent(component, ['spec', 'components', index], image);
    else image.skipped.push({ component: component.name, why });
  }
  // Images go into the store of a containerd that a package may bring.
  const needs = installs(image);
  for (const resource of image.resources.values()) {
    if (resource.kind === 'image') image.add({ ...resource, needs });
  }
}

function installs({ resources }: ImageRendering): ResourceId[] {
  return [...resources.keys()].filter((id) => id.startsWith('action:'));
}

function renderFiles(files: ImageSpec['files'], image: ImageRendering): void {
  for (const [index, file] of (files ?? []).entries()) {
    const path = ['spec', 'files', index];
    const lacks: Lack[] = [];
    const item = completeFile(file, { path, lacks, kubernetesVersion: '' });
    for (const { path: where, message, hint } of lacks) image.report(where, message, hint);
    addOnce(image, items.file.files({ ...item, scope: file.scope ?? 'shared' }, image.originOf(path)), path);
  }
}

/** The defaults of every node made from the image: a document of its own, which its boot merges. */
function renderNodeConfig(spec: ImageSpec['nodeConfig'], image: ImageRendering): void {
  if (!spec) return;
  const path = ['spec', 'nodeConfig'];
  // Not in a stable form: null says what of our defaults it takes away.
  const text = `${JSON.stringify({ apiVersion, kind: 'NodeConfig', spec }, undefined, 2)}\n`;
  addOnce(image, textFile(documentPaths.image, text, { scope: 'shared', origin: image.originOf(path) }), path);
}

function renderUnits(units: ImageSpec['units'], image: ImageRendering): void {
  const { enable = [], disable = [], mask = [], ...rest } = units ?? {};
  nothingLeft(rest);
  const lists = [
    ['enable', 'enabled', enable],
    ['disable', 'disabled', disable],
    ['mask', 'masked', mask],
  ] as const;
  for (const [list, enablement, names] of lists) {
    for (const [index, name] of names.entries()) {
      const path = ['spec', 'units', list, index];
      // A package may bring the unit.
      const about = { enablement, needs: installs(image), origin: image.originOf(path) };
      addOnce(image, items.unit.units(name, about), path);
    }
  }
}

function renderOwn(nodekiln: ImageSpec['nodekiln'], image: ImageRendering): void {
  const { boot = true, agent = false, agentSource, path: onPath = true, ...rest } = nodekiln ?? {};
  nothingLeft(rest);
  const path = ['spec', 'nodekiln'];
  if (onPath) renderPath(boot || agent, image);
  if (boot) addOnce(image, unit('nodekiln-boot.service', { content: bootUnit(), enablement: 'enabled' }), path);
  if (!agent) return;
  const content = agentUnit(agentSource);
  addOnce(image, unit('nodekiln-agent.service', { content, enablement: 'enabled' }), path);
}

/** What the manifest itself puts in these places is in force. */
function renderPath(program: boolean, image: ImageRendering): void {
  const { nodeConfig } = image.spec;
  const taken = new Set([...image.resources.values()].flatMap(placesOf));
  const files = onThePath({
    targets: Object.values(nodeConfig?.binaries?.tools ?? {}).flatMap((tool) => tool?.target ?? []),
    program,
    readers: image.options.pathReaders ?? {},
  });
  for (const file of files) if (!taken.has(file.path)) image.add(file, ['spec', 'nodekiln']);
}

// ── components ───────────────────────────────────────────────────────────────────────────────────────────────────

/** One renderer for each action; a component takes part when `on` matches. */
function renderComponent(component: Component, path: Path, image: ImageRendering): void {
  switch (component.action) {
    case 'cache':
      return renderCache(component, path, image);
    case 'install':
      for (const action of items.action.installs(component, path, image)) addOnce(image, action, path);
      return;
    case 'image':
      return addOnce(image, items.image.images(component, path, image), path);
    case 'download':
      return addOnce(image, items.binary.downloads(component, path, image), path);
  }
}

function installsOf(
  { action: _action, on: _on, name, source, ...rest }: Of<'install'>,
  path: Path,
  { originOf }: ImageRendering,
): ActionResource[] {
  nothingLeft(rest);
  const { type, packages, ...restOfSource } = source;
  nothingLeft(restOfSource);
  const origin = originOf(path);
  const actions = installActions(name, type, packages.map(packageOf));
  return actions.map((action) => ({ ...action, ...(origin !== undefined && { origin }) }));
}

type PackageDocument = Of<'install'>['source']['packages'][number];

function packageOf(document: PackageDocument): Package {
  if (typeof document === 'string') return { name: document };
  const { name, version, ...rest } = document;
  nothingLeft(rest);
  return { name, version };
}

function renderCache(
  { action: _action, on: _on, name, builds, ...rest }: Of<'cache'>,
  path: Path,
  image: ImageRendering,
): void {
  nothingLeft(rest);
  const taken = new Map<string, string>();
  const others = builds.map((build) => whyNot(build.on, image.facts)).filter((why) => why !== undefined);
  if (others.length === builds.length)
    image.skipped.push({ component: name, why: [...new Set(others)].join('; ') || 'it has no builds' });
  for (const [index, build] of builds.entries()) {
    if (whyNot(build.on, image.facts) !== undefined) continue;
    const buildPath = [...path, 'builds', index];
    const key = cacheKey(parseVersion(build.version));
    const other = taken.get(key);
    if (other !== undefined) {
      const place = image.placeOf(buildPath);
      throw new NodekilnError(
        'NK_CACHE_CONFLICT',
        `${name} ${other} and ${build.version} would both be cached as ${name}-${key}`,
        { resource: `binary:${name}-${key}`, ...(place && { place }) },
      );
    }
    taken.set(key, build.version);
    const resource = items.binary.builds(build, buildPath, { name, key, image });
    if (resource) addOnce(image, resource, buildPath);
  }
}

type Build = Of<'cache'>['builds'][number];

/** Undefined, and reported, when it has no source. */
function buildOf(
  { version, on: _on, source: document, digest, ...rest }: Build,
  path: Path,
  { name, key, image }: { readonly name: string; readonly key: string; readonly image: ImageRendering },
): BinaryResource | undefined {
  nothingLeft(rest);
  const { facts, options, transfer } = image;
  const source = manifestBinarySource(document, templateValues(name, version, facts), {
    digest: digestFor(digest, facts),
    located: (place) => located(place, options),
  });
  if (!source) {
    image.report([...path, 'source'], 'names no place: give one of path, url, reference, layout');
    return undefined;
  }
  const resource: BinaryResource = {
    kind: 'binary',
    id: `binary:${name}-${key}`,
    ...base({ scope: 'shared', origin: image.originOf(path) }),
    tool: name,
    version,
    architecture: parseArch(facts.arch.cpu),
    sources: [source],
    ...(transfer && { transfer }),
    place: { type: 'cache' },
  };
  if (digest === undefined) image.warnings.push(`${resource.id} has no digest: whatever its source holds is taken`);
  return resource;
}

function containerImageOf(
  { action: _action, on: _on, name, reference, archive, digest, pin = true, unpack = 'auto', ...from }: Of<'image'>,
  path: Path,
  image: ImageRendering,
): ContainerImageResource {
  const { facts, options, originOf } = image;
  const own = digestFor(digest, facts);
  return {
    kind: 'image',
    id: `image:${reference}`,
    ...base({ scope: 'shared', origin: originOf(path) }),
    // An archive brings its own name.
    reference: archive === undefined ? storedName(reference) : reference,
    ...(archive === undefined
      ? registryOf(from, { reference, digest: own, path, image })
      : archiveOf(from, {
          archive: located(expandTemplate(archive, templateValues(name, '0', facts)), options),
          path,
          image,
        })),
    ...(own !== undefined && { digest: own }),
    pin,
    unpack,
    architecture: parseArch(facts.arch.cpu),
  };
}

type ImageOrigin = Pick<Of<'image'>, 'plainHttp' | 'signature'>;

/** How the registry of an image is asked; what is open is said. */
function registryOf(
  { plainHttp, signature, ...rest }: ImageOrigin,
  {
    reference,
    digest,
    path,
    image,
  }: { reference: string; digest: string | undefined; path: Path; image: ImageRendering },
): Pick<ContainerImageResource, 'plainHttp' | 'signature' | 'transfer'> {
  nothingLeft(rest);
  const named = parseReference(reference).digest;
  if (digest !== undefined && named !== undefined && digest !== named)
    image.report([...path, 'digest'], 'is another than the digest in the reference');
  if (digest === undefined && named === undefined)
    image.warnings.push(`image:${reference} has no digest: whatever its tag leads to is taken`);
  return {
    ...(plainHttp !== undefined && { plainHttp }),
    ...(signature && { signature: signatureOf(signature) }),
    ...(image.transfer && { transfer: image.transfer }),
  };
}

/** An archive is asked of nobody. */
function archiveOf(
  { plainHttp, signature, ...rest }: ImageOrigin,
  { archive, path, image }: { archive: string; path: Path; image: ImageRendering },
): Pick<ContainerImageResource, 'archive'> {
  nothingLeft(rest);
  for (const [field, value] of Object.entries({ plainHttp, signature }))
    if (value !== undefined) image.report([...path, field], 'is for an image without archive: no registry is asked');
  return { archive };
}

function downloadOf(
  { action: _action, on: _on, name, version = '0', url, target, digest, ...rest }: Of<'download'>,
  path: Path,
  { facts, transfer, originOf }: ImageRendering,
): BinaryResource {
  nothingLeft(rest);
  const ofFile = digestFor(digest, facts);
  return {
    kind: 'binary',
    id: `binary:${name}`,
    ...base({ scope: 'shared', origin: originOf(path) }),
    tool: name,
    version,
    sources: [
      {
        type: 'file',
        role: 'manifest',
        from: addressed(expandTemplate(url, templateValues(name, version, facts))),
        ...(ofFile !== undefined && { digest: ofFile }),
      },
    ],
    ...(transfer && { transfer }),
    place: { type: 'activate', target },
  };
}

function unit(
  name: string,
  options: {
    content?: string;
    enablement: 'enabled' | 'disabled' | 'masked';
    needs?: readonly string[];
    origin?: string | undefined;
  },
): UnitResource {
  return {
    kind: 'unit',
    id: `unit:${name}`,
    name,
    ...base({ scope: 'shared', origin: options.origin, ...(options.needs && { needs: options.needs }) }),
    ...(options.content !== undefined && { content: options.content }),
    dropIns: [],
    enablement: options.enablement,
    inputs: [],
    onChange: 'none',
    readiness: { type: 'active' },
    deadlineMs: 90_000,
  };
}

function located(path: string, { artifactBase }: RenderImageOptions): string {
  return artifactBase === undefined || isAbsolute(path) ? normalize(path) : join(artifactBase, path);
}

function digestFor(digest: ArchDigest | undefined, facts: Facts): string | undefined {
  return typeof digest === 'object' ? digest[parseArch(facts.arch.cpu)] : digest;
}

/** Undefined for what is meant for a system. */
function whyNot(on: Selector | undefined, facts: Facts): string | undefined {
  const { os, release, variant, arch, ...rest } = on ?? {};
  nothingLeft(rest);
  const questions = [
    ['', os, facts.os.id],
    ['release ', release, facts.os.release],
    ['variant ', variant, facts.os.variant],
    ['', arch, parseArch(facts.arch.cpu)],
  ] as const;
  for (const [what, wanted, actual = ''] of questions) {
    const all: readonly string[] = wanted === undefined ? [actual] : [wanted].flat();
    if (!all.includes(actual))
      return `it is for ${what}${all.join(' or ') || 'nothing'}, and this is ${actual === '' ? `without ${what}`.trim() : `${what}${actual}`}`;
  }
  return undefined;
}
