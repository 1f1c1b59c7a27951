/**
 * From a NodeConfig and facts to the resources of a node. Pure: the same input gives the same bytes.
 *
 * NK_DOCUMENT_INVALID when the document's own files, units or actions contradict what is rendered from the rest of it,
 * or name resources that do not exist.
 */
import { isNeverDeferrable } from '../config/never-deferrable.ts';
import type { NodeConfig, NodeSpec } from '../config/complete.ts';
import type { UnitItem } from '../config/complete-items.ts';
import { nothingLeft } from '../config/completion.ts';
import { flagsOverConfiguration } from '../config/kubelet-flags.ts';
import type { Path } from '../config/paths.ts';
import type { Place } from '../errors.ts';
import type { Facts } from '../model/facts.ts';
import { isResourceId, type DesiredState, type UnitResource } from '../model/resources.ts';
import { binaryOf, cachePolicy } from './binaries.ts';
import { certificatesIn } from '../model/certificate.ts';
import { registryName } from '../model/reference.ts';
import { containerdFiles, containerdRemarks, containerdUnit, refusedSettings, unreadTables } from './containerd.ts';
import { foreignSettings } from './containerd-words.ts';
import { extensionOf, mergeUnit } from './extensions.ts';
import { kernelFiles } from './kernel.ts';
import { nodeNameOf, nodeNameProblem } from './join.ts';
import { keepHeardRouters, networkRemarks, resolverRemarks } from './network.ts';
import { kubeletFiles, kubeletUnit } from './kubelet.ts';
import { actionOf, extendUnit, fileOf, moduleOf, sysctlOf, unitOf, type ItemRenderers } from './render-items.ts';
import { refuseErrands } from './own-units.ts';
import { isOfNode } from './pod-network.ts';
import { programProblem } from './systemd-text.ts';
import { createRendering, readBy, renderParts, sorted, type Parts, type Rendering } from './rendering.ts';
import { afterTrust, trustResources } from './trust.ts';
import { writableUsrLocal } from './usr-local.ts';

/** How a NodeConfig is rendered. */
export interface RenderOptions {
  /** The place of a value of the document, for messages; `ResolvedNodeConfig.placeOf`. */
  readonly placeOf?: (path: Path) => Place | undefined;
}

/**
 * The resources of a node: files, units, programs, … as data. Pure: the same input gives the same bytes.
 *
 *      const { config, placeOf } = resolveNodeConfig([document]);
 *      const { resources, warnings } = renderNode(config, exampleFacts, { placeOf });
 *
 * Errors: NK_DOCUMENT_INVALID when the document contradicts itself.
 */
export function renderNode(config: NodeConfig, facts: Facts, options: RenderOptions = {}): DesiredState {
  const { spec } = config;
  const node: NodeRendering = { ...createRendering(facts, (path) => options.placeOf?.(path)), spec };
  renderParts(parts, spec, node);
  checkReferences(node);
  refuseErrands(node);
  node.refuseProblems('the NodeConfig contradicts itself');
  const cache = cachePolicy(spec.binaries.cache);
  return {
    resources: sorted(node.resources),
    goal: 'unit:kubelet.service',
    ...(cache && { cache }),
    warnings: node.warnings,
    ...(node.notes.length > 0 && { notes: node.notes }),
  };
}

interface NodeRendering extends Rendering {
  readonly spec: NodeSpec;
}

/** What its items render to, by kind. */
const items = {
  file: { files: fileOf },
  unit: { units: unitOrMore },
  binary: { tools: binaryOf },
  extension: { extensions: extensionOf },
  image: { noItem: 'container images come with the image of the machine: ImageManifest' },
  kernel: { modules: moduleOf, sysctls: sysctlOf },
  action: { actions: actionOf },
} satisfies ItemRenderers;

/** The document's own words about resources come after ours. */
const parts: Parts<NodeSpec, NodeRendering> = {
  kubernetes: readBy<NodeSpec['kubernetes']>({
    version: 'kubelet; tools and extensions that name no version of their own',
  }),
  cluster: renderCluster,
  network: renderNetwork,
  containerd: renderContainerd,
  kubelet: renderKubelet,
  kernel: renderKernel,
  binaries: renderBinaries,
  extensions: renderExtensions,
  usrLocal: renderUsrLocal,
  trust: renderTrust,
  files: renderFiles,
  units: renderUnits,
  actions: renderActions,
  boot: overrideDeferral,
  inPlaceUpdates: readBy<NonNullable<NodeSpec['inPlaceUpdates']>>({
    drain: 'in-place.ts, for the agent',
    operatingSystem: 'in-place.ts, for the agent',
    certificateAuthorities: 'in-place.ts, for the agent',
    serviceAccountKey: 'in-place.ts, for the agent',
  }),
  takeover: takeOver,
};

// ── from the parts that say what the node is ─────────────────────────────────────────────────────────────────────

/** Its fields are rendered with kubelet (kubelet.ts, cluster-access.ts) or tell the boot how the node joins (join.ts). */
function renderCluster(cluster: NodeSpec['cluster'], { spec, facts, report, warnings }: NodeRendering): void {
  if (!cluster) return;
  readBy<NonNullable<NodeSpec['cluster']>>({
    server: 'kubelet, how it joins',
    servers: 'the boot, how it joins',
    caBundle: 'kubelet',
    bootstrapToken: 'kubelet',
    bootstrapTokenFile: 'kubelet',
    clientCertificate: 'kubelet',
    exec: 'kubelet',
    kubeconfig: 'kubelet',
    servingCertificate: 'kubelet',
    dns: 'kubelet',
    domain: 'kubelet',
  });
  const [first, ...others] = cluster.servers;
  if (others.length > 0)
    warnings.push(`spec.cluster.servers: kubelet knows one server, ${first}; it does not turn to ${others.join(', ')}`);
  const problem = nodeNameProblem(nodeNameOf(spec, facts));
  if (problem !== undefined && spec.kubelet.nodeName === undefined)
    report(['spec', 'cluster'], problem, 'Name the node in `kubelet.nodeName`, or give the machine a name.');
}

/** Its fields are rendered with containerd and kubelet. Whose addresses pods have in a cluster is said either way. */
function renderNetwork({ cni }: NodeSpec['network'], node: NodeRendering): void {
  readBy<NodeSpec['network']>({ proxy: 'containerd and kubelet', cni: 'containerd' });
  if (!node.spec.cluster || cni.type !== 'bridge') return;
  if (isOfNode(cni))
    node.notes.push(
      'pods have addresses of the podCIDRs that the cluster gives the Node: the subnet of the bridge is known only when it has joined',
    );
  else
    warn(
      ['spec', 'network', 'cni', 'subnet'],
      `pods have addresses of ${cni.subnet}, whatever podCIDR the cluster gives the Node: every node needs a subnet of its own, and routes that follow podCIDRs (podRoutes of the agent, a cloud’s) do not lead there; without subnet the bridge has the podCIDR`,
      node,
    );
}

function renderContainerd(containerd: NodeSpec['containerd'], node: NodeRendering): void {
  const { spec, facts, add, report } = node;
  for (const { path, message } of foreignSettings(containerd.configuration, facts))
    warn(['spec', 'containerd', 'configuration', ...path], message, node);
  for (const { path, message } of refusedSettings(spec, facts))
    report(
      ['spec', 'containerd', 'configuration', ...path],
      message,
      'Name mirrors and certificates in `containerd.registries`.',
    );
  for (const { path, message } of unreadTables(containerd.configuration, facts))
    report(['spec', 'containerd', 'configuration', ...path], message, 'Choose another name, or containerd 2.');
  const names = containerd.registries.map(({ host }) => registryName(host));
  for (const [index, name] of names.entries())
    if (names.indexOf(name) < index)
      report(
        ['spec', 'containerd', 'registries', index, 'host'],
        `${containerd.registries[index]?.host ?? ''} is ${name} by another name, which has its mirrors already`,
        'Name all mirrors of a registry under one of its names.',
      );
  for (const { path, message } of networkRemarks(spec, facts)) warn(path, message, node);
  for (const message of containerdRemarks(spec, facts)) warn(['spec', 'containerd'], message, node);
  for (const file of containerdFiles(spec, facts)) add(file);
  add(afterTrust(containerdUnit(spec), trustResources(spec, facts)));
}

function renderKubelet(_kubelet: NodeSpec['kubelet'], node: NodeRendering): void {
  const { spec, facts, add, report } = node;
  const { files, configuration } = kubeletFiles(spec, facts);
  for (const file of files) add(file);
  add(kubeletUnit(spec, facts));
  for (const { path, message } of resolverRemarks(spec, facts)) warn(path, message, node);
  const target = spec.binaries.tools['kubelet']?.target;
  const problem = target === undefined ? undefined : programProblem(target);
  if (problem !== undefined)
    report(
      ['spec', 'binaries', 'tools', 'kubelet', 'target'],
      `target cannot be ${target}: ${problem}`,
      'Choose another path.',
    );
  for (const { path, message } of flagsOverConfiguration(spec.kubelet.flags, configuration)) warn(path, message, node);
}

function warn(path: Path, message: string, { originOf, warnings }: NodeRendering): void {
  const origin = originOf(path);
  warnings.push(origin === undefined ? message : `${origin}: ${message}`);
}

function renderKernel(kernel: NodeSpec['kernel'], { facts, add, originOf }: NodeRendering): void {
  const { modules, sysctls, ...rest } = kernel;
  nothingLeft(rest);
  const heard = keepHeardRouters(sysctls, facts);
  for (const file of kernelFiles({ modules, sysctls: [...heard, ...sysctls] })) add(file);
  for (const sysctl of heard) add(items.kernel.sysctls(sysctl, undefined));
  for (const [index, module] of modules.entries()) {
    const path = ['spec', 'kernel', 'modules', index];
    add(items.kernel.modules(module, originOf(path)), path);
  }
  for (const [index, sysctl] of sysctls.entries()) {
    const path = ['spec', 'kernel', 'sysctls', index];
    add(items.kernel.sysctls(sysctl, originOf(path)), path);
  }
}

function renderBinaries(binaries: NodeSpec['binaries'], { facts, add, originOf, report }: NodeRendering): void {
  // What the cache gives up is no resource: see renderNode.
  const { tools, policy, sources, transfer, cache: _cache, ...rest } = binaries;
  nothingLeft(rest);
  for (const [tool, item] of Object.entries(tools)) {
    const path = ['spec', 'binaries', 'tools', tool];
    const binary = items.binary.tools(tool, item, { policy, sources, transfer, facts, origin: originOf(path) });
    if (binary.sources.length === 0) {
      const hint = 'Use the policy cache-first, or give the tool a url.';
      const [where, which] = item.policy
        ? [[...path, 'policy'], item.policy]
        : [['spec', 'binaries', 'policy'], policy];
      report(where, `the policy ${which} leaves no source for ${tool}`, hint);
    }
    add(binary, path);
  }
}

function renderExtensions(extensions: NodeSpec['extensions'], node: NodeRendering): void {
  const { spec, facts, add, originOf, report } = node;
  const owners = new Map<string, string>();
  for (const [index, item] of extensions.entries()) {
    const path = ['spec', 'extensions', index];
    add(items.extension.extensions(item, { spec, facts, origin: originOf(path) }), path);
    for (const tool of item.tools) {
      const other = owners.get(tool);
      const binary = spec.binaries.tools[tool];
      if (other !== undefined) report(path, `${tool} is a tool of the extension ${other} already`);
      else if (binary?.target === `/opt/bin/${tool}`)
        report(path, `${tool} comes from binaries.tools already`, 'Remove one of the two.');
      owners.set(tool, item.name);
    }
  }
  if (extensions.length > 0) add(mergeUnit());
}

function renderUsrLocal(usrLocal: NodeSpec['usrLocal'], { facts, add }: NodeRendering): void {
  if (usrLocal !== 'writable') return;
  for (const resource of writableUsrLocal(facts)) add(resource);
  add(mergeUnit());
}

function renderTrust(trust: NodeSpec['trust'], node: NodeRendering): void {
  const { spec, facts, add } = node;
  for (const [index, { name, certificates }] of trust.anchors.entries())
    if (!certificatesIn(certificates))
      warn(
        ['spec', 'trust', 'anchors', index, 'certificates'],
        `the authority ${name} holds something that is no certificate: nothing will trust it`,
        node,
      );
  for (const resource of trustResources(spec, facts)) add(resource, ['spec', 'trust']);
}

// ── from the parts that name resources themselves ────────────────────────────────────────────────────────────────

function renderFiles(files: NodeSpec['files'], { resources, add, originOf, report }: NodeRendering): void {
  for (const [index, item] of files.entries()) {
    const path = ['spec', 'files', index];
    const resource = items.file.files(item, originOf(path));
    if (resources.has(resource.id) && !item.takeover) {
      report(
        path,
        `${item.path} is already written from another part of this document`,
        'Set `takeover: true` to replace it.',
      );
    }
    add(resource, path);
  }
}

function renderUnits(units: NodeSpec['units'], node: NodeRendering): void {
  for (const [index, item] of units.entries()) {
    const path = ['spec', 'units', index];
    node.add(items.unit.units(item, path, node), path);
  }
}

/** One of ours gets more; any other is the document's alone. */
function unitOrMore(item: UnitItem, path: Path, { resources, originOf }: NodeRendering): UnitResource {
  const ours = resources.get(`unit:${item.name}`);
  return ours?.kind === 'unit' ? extendUnit(ours, item, originOf(path)) : unitOf(item, originOf(path));
}

function renderActions(actions: NodeSpec['actions'], { add, originOf }: NodeRendering): void {
  for (const [index, item] of actions.entries()) {
    const path = ['spec', 'actions', index];
    add(items.action.actions(item, originOf(path)), path);
  }
}

// ── over all resources ───────────────────────────────────────────────────────────────────────────────────────────

function overrideDeferral(boot: NodeSpec['boot'], { resources, add, report, suggestion }: NodeRendering): void {
  // The boot takes its deadline and its goal from the document itself.
  const {
    deferrable: overrides,
    deadline: _deadline,
    goal: _goal,
    joinDeadline: _wait,
    unjoined: _outcome,
    ...rest
  } = boot;
  nothingLeft(rest);
  for (const [id, deferrable] of Object.entries(overrides)) {
    const resource = isResourceId(id) ? resources.get(id) : undefined;
    if (!resource) report(['spec', 'boot', 'deferrable', id], `there is no resource ${id}`, suggestion(id));
    else if (!isNeverDeferrable(id)) add({ ...resource, deferrable });
  }
}

function takeOver(takeover: boolean, { resources, add }: NodeRendering): void {
  if (takeover) for (const resource of resources.values()) add({ ...resource, takeover });
}

/** Needs must exist; an input that is not ours only cannot be watched. */
function checkReferences({ resources, add, pathOf, report, suggestion, warnings }: Rendering): void {
  for (const resource of resources.values()) {
    for (const need of resource.needs) {
      if (resources.has(need)) continue;
      report(pathOf(resource.id) ?? [], `${resource.id} needs ${need}, which does not exist`, suggestion(need));
    }
    if (resource.kind !== 'unit') continue;
    const unknown = resource.inputs.filter((input) => !resources.has(input));
    for (const input of unknown)
      warnings.push(`${resource.id} names the input ${input}, which no document writes: its changes are not seen`);
    if (unknown.length > 0) add({ ...resource, inputs: resource.inputs.filter((input) => resources.has(input)) });
  }
}
