/** `nodekiln manifest resolve FILE --os ID/RELEASE --arch ARCH` */
import { dirname, resolve as absolutePath } from 'node:path';
import { systemdArch } from '../model/arch.ts';
import type { Inventory } from '../artifacts/inventory/inventory.ts';
import type { ComponentChoice, MinorPolicy, VersionChoice } from '../artifacts/inventory/selection.ts';
import type { DocumentText } from '../config/load.ts';
import type { Facts } from '../model/facts.ts';
import { NodekilnError } from '../errors.ts';
import { count } from '../model/count.ts';
import { archOption, architectureOption } from './architecture.ts';
import { readDocuments } from './documents.ts';
import { isAgentbaker, readInventory } from './manifest-formats.ts';
import { paragraphs } from './output.ts';
import { table, type Look } from './table.ts';
import { textOption, type Options, type Verb } from './verb.ts';

const policies = ['fail', 'nearest-lower', 'nearest'] as const satisfies MinorPolicy[];

export const manifestResolveVerb: Verb = {
  spec: {
    name: 'manifest resolve',
    summary: 'show what a manifest or inventory gives a platform, and why',
    description:
      'Nothing is fetched. "none" is an answer; for a component that was asked for by name it is also an error, NK_ARTIFACT_NONE_USABLE.',
    arguments: [
      { name: 'FILE', about: 'an ImageManifest, an Inventory, or AgentBaker’s components.json', required: true },
    ],
    options: [
      { flag: '--os', value: 'ID/RELEASE', about: 'the operating system, `ubuntu/24.04`', required: true },
      { flag: '--variant', value: 'VARIANT', about: 'its variant' },
      archOption,
      { flag: '--component', value: 'NAME', about: 'only this component' },
      { flag: '--kubernetes', value: 'VERSION', about: 'also the one version that goes with this Kubernetes' },
      {
        flag: '--minor-policy',
        value: 'POLICY',
        about: 'when no version of the same minor is there',
        default: 'fail',
        choices: policies,
      },
    ],
    examples: [
      'nodekiln manifest resolve image.yaml --os debian/13 --arch amd64',
      'nodekiln manifest resolve components.json --os ubuntu/24.04 --arch arm64 --component kubelet --kubernetes 1.34.1 --json',
    ],
    kind: 'ResolvedManifest',
    root: 'never',
  },
  async run({ arguments: [file = ''], options, terminal }) {
    const [source] = await readDocuments([file]);
    const request = requestOf(options);
    const components = await resolveComponents({ file, text: source?.text ?? '' }, request);
    const wanted = request.component;
    const found = wanted === undefined ? components : components.filter(({ name }) => name === wanted);
    const data = { platform: request.platform, components: found };
    const error = wanted === undefined ? undefined : whyUnusable(wanted, request, found);
    if (error) return { data, text: '', error };
    return { data, text: text(found, terminal) };
  },
};

interface Request {
  readonly platform: {
    readonly os: string;
    readonly release: string;
    readonly variant?: string;
    readonly arch: string;
  };
  readonly component: string | undefined;
  readonly kubernetes: string | undefined;
  readonly policy: MinorPolicy;
}

/** One component's answer, the same for inventories and manifests. */
interface Resolved {
  readonly name: string;
  readonly type: 'package' | 'image' | 'artifact';
  readonly choice: VersionChoice;
  /** Address of each version, in their order; empty where a package manager serves. */
  readonly addresses: readonly string[];
  /** Why an address cannot be made. */
  readonly refused?: string;
  readonly forKubernetes?: ComponentChoice;
}

function requestOf(options: Options): Request {
  const [os = '', release = '', ...more] = (textOption(options, 'os') ?? '').split('/');
  if (os === '' || more.length > 0)
    throw new NodekilnError('NK_USAGE', `--os ${textOption(options, 'os')} names no operating system`, {
      hint: 'Write it like ubuntu/24.04, or flatcar where releases play no part.',
    });
  const variant = textOption(options, 'variant');
  const policy = policies.find((name) => name === textOption(options, 'minor-policy')) ?? 'fail';
  return {
    platform: {
      os,
      release,
      ...(variant !== undefined && { variant }),
      arch: architectureOption(options),
    },
    component: textOption(options, 'component'),
    kubernetes: textOption(options, 'kubernetes'),
    policy,
  };
}

async function resolveComponents(source: DocumentText, request: Request): Promise<Resolved[]> {
  if (isAgentbaker(source.text)) return fromInventory(await readInventory(source), request);
  const { parseDocument } = await import('../config/load.ts');
  const loaded = await parseDocument(source);
  switch (loaded.kind) {
    case 'Inventory':
      return fromInventory(loaded.document.spec as Inventory, request);
    case 'ImageManifest':
      return fromManifest(source, request);
    case 'NodeConfig':
    case 'AgentConfig':
      throw new NodekilnError(
        'NK_DOCUMENT_KIND',
        `${source.file} is of kind ${loaded.kind}, and a manifest or inventory is wanted`,
      );
  }
}

// ── inventories ──────────────────────────────────────────────────────────────────────────────────────────────────

async function fromInventory(inventory: Inventory, { platform, kubernetes, policy }: Request): Promise<Resolved[]> {
  const { componentForKubernetes, imageVersions, resolveInventory } =
    await import('../artifacts/inventory/selection.ts');
  const order = /^(debian|ubuntu)/i.test(platform.os) ? 'deb' : 'rpm';
  const versionsOf = (choice: VersionChoice): readonly string[] => (choice.type === 'versions' ? choice.versions : []);
  const packages = resolveInventory(inventory, { ...platform, architecture: platform.arch }).map(
    ({ name, choice, urls, refused }): Resolved => ({
      name,
      type: 'package',
      choice,
      addresses: urls,
      ...(refused && { refused: refused.message }),
      // Where the platform brings its own, there is nothing to choose from, and nothing is missing.
      ...(kubernetes !== undefined &&
        choice.type !== 'skip' && {
          forKubernetes: componentForKubernetes(versionsOf(choice), { kubernetes, policy, order }),
        }),
    }),
  );
  const image = (reference: string, versions: readonly string[]): Resolved => ({
    name: reference.replace(/:\*$/, ''),
    type: 'image',
    choice:
      versions.length > 0
        ? { type: 'versions', key: 'image', versions, url: reference }
        : { type: 'none', key: 'image', absent: [] },
    addresses: versions.map((version) => reference.replace('*', () => version)),
  });
  const current = ({
    skip,
    latest,
    previous,
  }: {
    skip: boolean;
    latest?: string | null | undefined;
    previous?: string | null | undefined;
  }) => (skip ? [] : [latest, previous].filter((version) => typeof version === 'string'));
  return [
    ...packages,
    ...inventory.images.map((one) => image(one.reference, imageVersions(one, platform.arch))),
    ...inventory.gpuImages.map((one) => image(one.reference, platform.arch === 'amd64' ? current(one.version) : [])),
    ...inventory.artifacts.map((one): Resolved => ({
      name: one.name,
      type: 'artifact',
      choice: { type: 'none', key: one.windows ? 'windows' : undefined, absent: [] },
      addresses: [],
    })),
  ];
}

// ── manifests ────────────────────────────────────────────────────────────────────────────────────────────────────

async function fromManifest(source: DocumentText, { platform, kubernetes, policy }: Request): Promise<Resolved[]> {
  const [{ parseDocument }, { renderImage }, { shownLocation }, { componentForKubernetes }] = await Promise.all([
    import('../config/load.ts'),
    import('../desired/render-image.ts'),
    import('../inspect/plan-sources.ts'),
    import('../artifacts/inventory/selection.ts'),
  ]);
  const { document } = await parseDocument(source, 'ImageManifest');
  const { resources } = renderImage(document, platformFacts(platform), {
    artifactBase: dirname(absolutePath(source.file)),
  });
  const programs = new Map<string, { version: string; address: string }[]>();
  const images: Resolved[] = [];
  for (const resource of resources.values()) {
    if (resource.kind === 'binary') {
      const address = resource.sources
        .map((one) => (one.type === 'cache' ? 'cache' : shownLocation(one.from)))
        .join(', ');
      programs.set(resource.tool, [...(programs.get(resource.tool) ?? []), { version: resource.version, address }]);
    }
    if (resource.kind === 'image') {
      const choice = { type: 'versions', key: 'image', versions: [resource.reference], url: undefined } as const;
      images.push({
        name: resource.reference,
        type: 'image',
        choice,
        addresses: [resource.archive ?? resource.reference],
      });
    }
  }
  const order = /^(debian|ubuntu)/i.test(platform.os) ? 'deb' : 'rpm';
  const named = (document.spec.components ?? []).filter(({ action }) => action === 'cache' || action === 'download');
  const packages = [...new Set(named.map(({ name }) => name))].map((name): Resolved => {
    const builds = programs.get(name) ?? [];
    const versions = builds.map(({ version }) => version);
    return {
      name,
      type: 'package',
      choice:
        versions.length > 0
          ? { type: 'versions', key: `${platform.os}/${platform.release}`, versions, url: undefined }
          : { type: 'none', key: undefined, absent: [`${platform.os}/${platform.release}`] },
      addresses: builds.map(({ address }) => address),
      ...(kubernetes !== undefined && {
        forKubernetes: componentForKubernetes(versions, { kubernetes, policy, order }),
      }),
    };
  });
  return [...packages, ...images];
}

/** As much of a machine as a manifest can ask about. */
function platformFacts({ os, release, variant, arch }: Request['platform']): Facts {
  return {
    os: { id: os.toLowerCase(), release, ...(variant !== undefined && { variant }) },
    arch: { cpu: arch, systemd: systemdArch(arch) },
    hostName: '',
    cgroupVersion: 2,
    cpus: 1,
    memoryBytes: 0,
    interfaces: [],
    cache: {},
  };
}

// ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────

function text(components: readonly Resolved[], look: Look): string {
  const shown = components.length === 1 ? components : components.filter(({ choice }) => choice.type !== 'none');
  const hidden = components.length - shown.length;
  const rows = table(
    [{ title: 'COMPONENT' }, { title: 'VERSIONS' }, { title: 'BY' }, { title: 'FROM, OR WHY NOT' }],
    shown.flatMap(({ name, choice, addresses, refused, forKubernetes }) => {
      const chosen = forKubernetes === undefined ? [] : [['', ...kubernetesRow(forKubernetes)]];
      if (choice.type === 'skip') return [[name, '', choice.key, 'the platform brings its own']];
      if (choice.type === 'none') return [[name, '', choice.key ?? '', whyNone(choice)]];
      return [
        ...choice.versions.map((version, index) => [
          index === 0 ? name : '',
          version,
          index === 0 ? choice.key : '',
          refused ?? addresses[index] ?? 'the package manager',
        ]),
        ...chosen,
      ];
    }),
    look,
  );
  return paragraphs(rows, hidden === 0 ? '' : `${count(hidden, 'component')} with nothing for this platform`);
}

function kubernetesRow(choice: ComponentChoice): string[] {
  if (choice.type === 'match') return [`→ ${choice.version}`, choice.how, 'goes with the Kubernetes version'];
  return ['→ none', '', choice.why];
}

function whyNone({ key, absent }: Extract<VersionChoice, { type: 'none' }>): string {
  if (key !== undefined) return 'nothing is to be done there';
  return absent.length === 0 ? 'nothing is listed' : `nothing under ${absent.join(', ')}`;
}

/** Of a component that was asked for by name. */
function whyUnusable(
  name: string,
  { platform, policy }: Request,
  found: readonly Resolved[],
): NodekilnError | undefined {
  if (
    found.some(
      ({ choice, refused, forKubernetes }) => choice.type !== 'none' && !refused && forKubernetes?.type !== 'none',
    )
  )
    return undefined;
  const refused = found.find((one) => one.refused !== undefined)?.refused;
  if (refused !== undefined)
    return new NodekilnError('NK_DOCUMENT_INVALID', `${name}: ${refused}`, {
      hint: 'Placeholders are ${version}, ${CPU_ARCH} and ${SYSTEMD_ARCH}; nothing is ever evaluated.',
    });
  const where = [platform.os, platform.release, platform.variant, platform.arch].filter(Boolean).join(' ');
  return new NodekilnError('NK_ARTIFACT_NONE_USABLE', `there is no ${name} for ${where}`, {
    hint: hintFor(found, policy),
    lines: found.flatMap(({ choice, forKubernetes }) => {
      if (choice.type === 'none') return [whyNone(choice)];
      if (forKubernetes?.type !== 'none') return [];
      return [forKubernetes.why, ...forKubernetes.seen.map((seen) => `it has ${seen}`)];
    }),
  });
}

function hintFor(found: readonly Resolved[], policy: MinorPolicy): string {
  if (found.length === 0) return 'The file does not name it.';
  if (found.every(({ choice }) => choice.type === 'none')) return 'Ask for another platform, or add it to the file.';
  return policy === 'nearest'
    ? 'Add a version.'
    : 'Ask for another version, or say with --minor-policy which may stand in.';
}
