/**
 * From an ImageManifest and the facts of the root it is baked into to resources. Pure.
 *
 * NK_CACHE_CONFLICT when two builds for this machine would be cached under one key, NK_DOCUMENT_INVALID when the
 * manifest contradicts itself.
 */
import { cacheKey, parseVersion } from '../model/version.ts';
import { parseArch } from '../model/arch.ts';
import { completeFile, completeTransfer } from '../config/complete.ts';
import { documentPaths } from '../config/defaults.ts';
import { invalidDocument } from '../config/invalid.ts';
import type { Path } from '../config/paths.ts';
import { apiVersion } from '../config/schema-node.ts';
import type { ArchDigest, Component, ImageManifest, Selector } from '../config/schema-image.ts';
import { expandTemplate } from '../config/template.ts';
import { NodekilnError, formatPlace } from '../errors.ts';
import type { Place, Problem } from '../errors.ts';
import type { Facts } from '../model/facts.ts';
import { agentUnit, bootUnit } from './own-units.ts';
import { installActions } from './packages.ts';
import { base, fileOf, textFile } from './render-items.ts';
import { sorted } from './render-node.ts';
import type {
  BinaryResource,
  BinarySource,
  DesiredState,
  ContainerImageResource,
  Resource,
  ResourceId,
  TransferSettings,
  UnitResource,
} from '../model/resources.ts';
import { addressed, manifestBinarySource, templateValues, transferSettings } from './sources.ts';
import { stableJson } from './stable.ts';
import { isAbsolute, join } from '../model/path.ts';

export interface RenderImageOptions {
  /** The folder relative paths of the manifest start from, on the machine that bakes. */
  readonly artifactBase: string;
  /** The place of a value of the manifest, for messages. */
  readonly placeOf?: (path: Path) => Place | undefined;
}

type Of<Action extends Component['action']> = Extract<Component, { action: Action }>;

interface Context {
  readonly facts: Facts;
  readonly options: RenderImageOptions;
  readonly transfer: TransferSettings | undefined;
  readonly add: (resource: Resource, path: Path) => void;
  readonly report: (path: Path, message: string) => void;
  readonly warnings: string[];
  readonly originOf: (path: Path) => string | undefined;
}

export function renderImage(manifest: ImageManifest, facts: Facts, options: RenderImageOptions): DesiredState {
  const { spec } = manifest;
  const resources = new Map<ResourceId, Resource>();
  const problems: Problem[] = [];
  const warnings: string[] = [];

  const report = (path: Path, message: string): void => {
    const place = options.placeOf?.(path);
    problems.push({ message, ...(place && { place }) });
  };
  const originOf = (path: Path): string | undefined => {
    const place = options.placeOf?.(path);
    if (!place) return undefined;
    const { path: _path, ...position } = place;
    return formatPlace(position);
  };
  const add = (resource: Resource, path: Path): void => {
    if (resources.has(resource.id)) report(path, `${resource.id} is named a second time for this machine`);
    resources.set(resource.id, resource);
  };
  const transfer = transferSettings(spec.transfer && completeTransfer(spec.transfer));
  const context: Context = { facts, options, transfer, add, report, warnings, originOf };

  for (const [index, component] of (spec.components ?? []).entries()) {
    if (matches(component.on, facts)) renderComponent(component, ['spec', 'components', index], context);
  }
  for (const [index, file] of (spec.files ?? []).entries()) {
    const path = ['spec', 'files', index];
    const item = completeFile(file, (inner, message) => report([...path, ...inner], message));
    add(fileOf({ ...item, scope: file.scope ?? 'shared' }, originOf(path)), path);
  }
  if (spec.nodeConfig) {
    const document = { apiVersion, kind: 'NodeConfig', spec: spec.nodeConfig };
    add(
      textFile(documentPaths.image, stableJson(document), {
        scope: 'shared',
        origin: originOf(['spec', 'nodeConfig']),
      }),
      ['spec', 'nodeConfig'],
    );
  }
  // Units may come from packages, and images go into the store of a containerd that may.
  const installs = [...resources.keys()].filter((id) => id.startsWith('action:'));
  for (const resource of resources.values()) {
    if (resource.kind === 'image') resources.set(resource.id, { ...resource, needs: installs });
  }
  for (const [list, enablement] of [
    ['enable', 'enabled'],
    ['disable', 'disabled'],
    ['mask', 'masked'],
  ] as const) {
    for (const [index, name] of (spec.units?.[list] ?? []).entries()) {
      const path = ['spec', 'units', list, index];
      add(unit(name, { enablement, needs: installs, origin: originOf(path) }), path);
    }
  }
  const own = ['spec', 'nodekiln'];
  if (spec.nodekiln?.boot ?? true)
    add(unit('nodekiln-boot.service', { content: bootUnit(), enablement: 'enabled' }), own);
  if (spec.nodekiln?.agent ?? false) {
    const content = agentUnit(spec.nodekiln?.agentSource ?? `dir:${documentPaths.desired}`);
    add(unit('nodekiln-agent.service', { content, enablement: 'enabled' }), own);
  }

  if (problems.length > 0) throw invalidDocument('the ImageManifest contradicts itself', problems);
  return { resources: sorted(resources), goal: undefined, warnings };
}

function renderComponent(component: Component, path: Path, context: Context): void {
  switch (component.action) {
    case 'cache':
      return renderCache(component, path, context);
    case 'install': {
      const packages = component.source.packages.map((item) => (typeof item === 'string' ? { name: item } : item));
      const origin = context.originOf(path);
      for (const action of installActions(component.name, component.source.type, packages)) {
        context.add({ ...action, ...(origin !== undefined && { origin }) }, path);
      }
      return undefined;
    }
    case 'image':
      return context.add(imageOf(component, path, context), path);
    case 'download':
      return context.add(downloadOf(component, path, context), path);
  }
}

function renderCache(component: Of<'cache'>, path: Path, context: Context): void {
  const taken = new Map<string, string>();
  for (const [index, build] of component.builds.entries()) {
    if (!matches(build.on, context.facts)) continue;
    const buildPath = [...path, 'builds', index];
    const key = cacheKey(parseVersion(build.version));
    const other = taken.get(key);
    if (other !== undefined) {
      const place = context.options.placeOf?.(buildPath);
      throw new NodekilnError(
        'NK_CACHE_CONFLICT',
        `${component.name} ${other} and ${build.version} would both be cached as ${component.name}-${key}`,
        {
          resource: `binary:${component.name}-${key}`,
          ...(place && { place }),
        },
      );
    }
    taken.set(key, build.version);
    const origin = context.originOf(buildPath);
    const source = sourceOf(component, build, context);
    if (!source) {
      context.report([...buildPath, 'source'], 'names no place: give one of path, url, reference, layout');
      continue;
    }
    const resource: BinaryResource = {
      kind: 'binary',
      id: `binary:${component.name}-${key}`,
      ...base({ scope: 'shared', origin }),
      tool: component.name,
      version: build.version,
      architecture: parseArch(context.facts.arch.cpu),
      sources: [source],
      ...(context.transfer && { transfer: context.transfer }),
      place: { type: 'cache' },
    };
    if (build.digest === undefined)
      context.warnings.push(`${resource.id} has no digest: whatever its source holds is taken`);
    context.add(resource, buildPath);
  }
}

type Build = Of<'cache'>['builds'][number];

/** The source, or undefined when the build names no place. */
function sourceOf(component: Of<'cache'>, build: Build, { facts, options }: Context): BinarySource | undefined {
  const values = templateValues(component.name, build.version, facts);
  return manifestBinarySource(build.source, values, {
    digest: digestFor(build.digest, facts),
    located: (path) => located(path, options),
  });
}

function imageOf(component: Of<'image'>, path: Path, { facts, options, originOf }: Context): ContainerImageResource {
  const digest = digestFor(component.digest, facts);
  return {
    kind: 'image',
    id: `image:${component.reference}`,
    ...base({ scope: 'shared', origin: originOf(path) }),
    reference: component.reference,
    archive: located(expandTemplate(component.archive, templateValues(component.name, '0', facts)), options),
    ...(digest !== undefined && { digest }),
    pin: component.pin ?? true,
    unpack: component.unpack ?? 'auto',
    architecture: parseArch(facts.arch.cpu),
  };
}

function downloadOf(component: Of<'download'>, path: Path, { facts, transfer, originOf }: Context): BinaryResource {
  const version = component.version ?? '0';
  const digest = digestFor(component.digest, facts);
  return {
    kind: 'binary',
    id: `binary:${component.name}`,
    ...base({ scope: 'shared', origin: originOf(path) }),
    tool: component.name,
    version,
    sources: [
      {
        type: 'file',
        role: 'manifest',
        from: addressed(expandTemplate(component.url, templateValues(component.name, version, facts))),
        ...(digest !== undefined && { digest }),
      },
    ],
    ...(transfer && { transfer }),
    place: { type: 'activate', target: component.target },
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

function located(path: string, options: RenderImageOptions): string {
  return isAbsolute(path) ? path : join(options.artifactBase, path);
}

function digestFor(digest: ArchDigest | undefined, facts: Facts): string | undefined {
  return typeof digest === 'object' ? digest[parseArch(facts.arch.cpu)] : digest;
}

function matches(on: Selector | undefined, facts: Facts): boolean {
  if (!on) return true;
  const is = (wanted: string | readonly string[] | undefined, actual: string | undefined): boolean =>
    wanted === undefined || [wanted].flat().includes(actual ?? '');
  return (
    is(on.os, facts.os.id) &&
    is(on.release, facts.os.release) &&
    is(on.variant, facts.os.variant) &&
    is(on.arch, parseArch(facts.arch.cpu))
  );
}
