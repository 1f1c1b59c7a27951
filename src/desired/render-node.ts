/**
 * From a NodeConfig and facts to the resources of a node. Pure: the same input gives the same bytes.
 *
 * NK_DOCUMENT_INVALID when the document's own files, units or actions contradict what is rendered from the rest of it,
 * or name resources that do not exist.
 */
import { isNeverDeferrable } from '../config/complete.ts';
import type { NodeConfig } from '../config/complete.ts';
import { invalidDocument } from '../config/invalid.ts';
import type { Path } from '../config/paths.ts';
import { nearest } from '../config/words.ts';
import { formatPlace } from '../errors.ts';
import type { Place, Problem } from '../errors.ts';
import { binaryOf, cachePolicy } from './binaries.ts';
import { containerdFiles, containerdUnit } from './containerd.ts';
import { extensionOf, mergeUnit } from './extensions.ts';
import { afterTrust, trustResources } from './trust.ts';
import { writableUsrLocal } from './usr-local.ts';
import type { Facts } from '../model/facts.ts';
import { kernelFiles } from './kernel.ts';
import { kubeletFiles, kubeletUnit } from './kubelet.ts';
import { actionOf, extendUnit, fileOf, moduleOf, sysctlOf, unitOf } from './render-items.ts';
import { isResourceId, type DesiredState, type Resource, type ResourceId } from '../model/resources.ts';

export interface RenderOptions {
  /** The place of a value of the document, for messages; `ResolvedNodeConfig.placeOf`. */
  readonly placeOf?: (path: Path) => Place | undefined;
}

export function renderNode(config: NodeConfig, facts: Facts, options: RenderOptions = {}): DesiredState {
  const { spec } = config;
  const resources = new Map<ResourceId, Resource>();
  const problems: Problem[] = [];
  const warnings: string[] = [];

  const placeOf = (path: Path): Place | undefined => options.placeOf?.(path);
  const originOf = (path: Path): string | undefined => {
    const place = placeOf(path);
    if (!place) return undefined;
    const { path: _path, ...position } = place;
    return formatPlace(position);
  };
  const report = (path: Path, message: string, hint?: string): void => {
    const place = placeOf(path);
    problems.push({ message, ...(place && { place }), ...(hint !== undefined && { hint }) });
  };
  const paths = new Map<ResourceId, Path>();
  const add = (resource: Resource, path?: Path): void => {
    resources.set(resource.id, resource);
    if (path) paths.set(resource.id, path);
  };

  for (const resource of [...containerdFiles(spec, facts), ...kubeletFiles(config, facts), ...kernelFiles(spec.kernel)])
    add(resource);
  for (const [index, module] of spec.kernel.modules.entries()) {
    const path = ['spec', 'kernel', 'modules', index];
    add(moduleOf(module, originOf(path)), path);
  }
  for (const [index, sysctl] of spec.kernel.sysctls.entries()) {
    const path = ['spec', 'kernel', 'sysctls', index];
    add(sysctlOf(sysctl, originOf(path)), path);
  }
  for (const [tool, item] of Object.entries(spec.binaries.tools)) {
    const path = ['spec', 'binaries', 'tools', tool];
    const binary = binaryOf(tool, item, { binaries: spec.binaries, facts, origin: originOf(path) });
    if (binary.sources.length === 0) {
      const hint = 'Use the policy cache-first, or give the tool a url.';
      report(['spec', 'binaries', 'policy'], `the policy ${spec.binaries.policy} leaves no source for ${tool}`, hint);
    }
    add(binary, path);
  }
  const toolOwners = new Map<string, string>();
  for (const [index, item] of spec.extensions.entries()) {
    const path = ['spec', 'extensions', index];
    add(extensionOf(item, { spec, facts, origin: originOf(path) }), path);
    for (const tool of item.tools) {
      const other = toolOwners.get(tool);
      const binary = spec.binaries.tools[tool];
      if (other !== undefined) report(path, `${tool} is a tool of the extension ${other} already`);
      else if (binary?.target === `/opt/bin/${tool}`)
        report(path, `${tool} comes from binaries.tools already`, 'Remove one of the two.');
      toolOwners.set(tool, item.name);
    }
  }
  if (spec.usrLocal === 'writable') for (const resource of writableUsrLocal(facts)) add(resource);
  if (spec.extensions.length > 0 || spec.usrLocal === 'writable') add(mergeUnit());
  const trust = trustResources(spec, facts);
  for (const resource of trust) add(resource, ['spec', 'trust']);
  add(afterTrust(containerdUnit(spec), trust));
  add(kubeletUnit(config));

  for (const [index, item] of spec.files.entries()) {
    const path = ['spec', 'files', index];
    const resource = fileOf(item, originOf(path));
    if (resources.has(resource.id) && !item.takeover) {
      report(
        path,
        `${item.path} is already written from another part of this document`,
        'Set `takeover: true` to replace it.',
      );
    }
    add(resource, path);
  }
  for (const [index, item] of spec.units.entries()) {
    const path = ['spec', 'units', index];
    const ours = resources.get(`unit:${item.name}`);
    add(ours?.kind === 'unit' ? extendUnit(ours, item, originOf(path)) : unitOf(item, originOf(path)), path);
  }
  for (const [index, item] of spec.actions.entries()) {
    const path = ['spec', 'actions', index];
    add(actionOf(item, originOf(path)), path);
  }

  overrideDeferral();
  checkReferences();
  if (problems.length > 0) throw invalidDocument('the NodeConfig contradicts itself', problems);
  if (spec.takeover) for (const resource of resources.values()) add({ ...resource, takeover: true });
  const cache = cachePolicy(spec.binaries.cache);
  return { resources: sorted(resources), goal: 'unit:kubelet.service', ...(cache && { cache }), warnings };

  function overrideDeferral(): void {
    for (const [id, deferrable] of Object.entries(spec.boot.deferrable)) {
      const path = ['spec', 'boot', 'deferrable', id];
      const resource = isResourceId(id) ? resources.get(id) : undefined;
      if (!resource) report(path, `there is no resource ${id}`, suggestion(id));
      else if (!isNeverDeferrable(id)) add({ ...resource, deferrable });
    }
  }

  /** Needs must exist; an input that is not ours only cannot be watched. */
  function checkReferences(): void {
    for (const resource of resources.values()) {
      for (const need of resource.needs) {
        if (resources.has(need)) continue;
        report(paths.get(resource.id) ?? [], `${resource.id} needs ${need}, which does not exist`, suggestion(need));
      }
      if (resource.kind !== 'unit') continue;
      const unknown = resource.inputs.filter((input) => !resources.has(input));
      for (const input of unknown)
        warnings.push(`${resource.id} names the input ${input}, which no document writes: its changes are not seen`);
      if (unknown.length > 0) add({ ...resource, inputs: resource.inputs.filter((input) => resources.has(input)) });
    }
  }

  function suggestion(id: string): string | undefined {
    const near = nearest(id, resources.keys());
    return near && `did you mean "${near}"?`;
  }
}

/** Resources in the order of their ids. */
export function sorted(resources: ReadonlyMap<ResourceId, Resource>): Map<ResourceId, Resource> {
  return new Map([...resources].sort(([a], [b]) => (a < b ? -1 : 1)));
}
