/**
 * Completion of the items of a document: files, units, actions, kernel settings, programs, extensions and where they come
 * from. Each has its defaults (`defaults.ts`), its secrets wrapped so that nothing prints them by accident, and all that it
 * must have. Pure.
 */
import type { SensitiveText } from '../model/resources.ts';
import {
  completed,
  each,
  kept,
  lack,
  or,
  required,
  section,
  within,
  type Completion,
  type Scope,
} from './completion.ts';
import { itemDefaults, policyDefaults, unitDefaults } from './defaults.ts';
import { isIdentityPath, isIdentityUnit } from './identity.ts';
import { fileForms } from './item-checks.ts';
import type { NodeSpecDocument } from './schema-node.ts';
import type { BinarySourcesDocument, TransferDocument } from './schema-sources.ts';
import { addressOf } from '../model/shown-address.ts';

export type Item<List> = List extends readonly (infer Element)[] ? Element : never;
export type Section<Key extends keyof NodeSpecDocument> = NonNullable<NodeSpecDocument[Key]>;
/** T with these fields present. */
export type With<T, Keys extends keyof T> = Omit<T, Keys> & { [Key in Keys]-?: NonNullable<T[Key]> };
export type MaybeSecret = string | SensitiveText;

function secret(text: string, isSecret: boolean): MaybeSecret {
  return isSecret ? { sensitive: text } : text;
}

function maybeAddress(text: string | undefined): MaybeSecret | undefined {
  return text && addressOf(text);
}

export function sensitive(text: string | undefined): SensitiveText | undefined {
  return text === undefined ? undefined : { sensitive: text };
}

// ── what may be said about every item ────────────────────────────────────────────────────────────────────────────

type Policy = 'importance' | 'scope' | 'takeover' | 'needs';
type PolicyDocument = Pick<ModuleDocument, Policy>;

const policy: Completion<PolicyDocument, With<PolicyDocument, Policy>> = {
  importance: or(policyDefaults.importance),
  scope: or(policyDefaults.scope),
  takeover: or(policyDefaults.takeover),
  needs: or([...policyDefaults.needs]),
};

/** What is shared may be captured in an image and started many times. */
function refuseShared(what: string, scope: Scope): void {
  lack(scope, `${what} cannot be shared: it belongs to one machine`, 'Leave the scope at node.');
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

type FileDocument = Item<Section<'files'>>;
export type FileItem = Omit<
  With<FileDocument, Policy | 'deferrable' | 'owner' | 'group' | 'sensitive'>,
  'content' | 'contentBase64'
> & { readonly content?: MaybeSecret; readonly contentBase64?: MaybeSecret };

const fileCompletion: Completion<FileDocument, FileItem> = {
  path: kept,
  content: ofFile,
  contentBase64: ofFile,
  symlink: kept,
  directory: kept,
  mode: fileMode,
  owner: or(itemDefaults.file.owner),
  group: or(itemDefaults.file.group),
  sensitive: or(itemDefaults.file.sensitive),
  ...policy,
  scope: (written, { path }, scope) => {
    if (written === 'shared' && isIdentityPath(path)) refuseShared(path, scope);
    return written ?? policyDefaults.scope;
  },
  deferrable: or(itemDefaults.file.deferrable),
};

function ofFile(text: string | undefined, file: FileDocument): MaybeSecret | undefined {
  return text === undefined ? undefined : secret(text, file.sensitive ?? itemDefaults.file.sensitive);
}

function fileMode(written: string | undefined, file: FileDocument, scope: Scope): string | undefined {
  if (file.symlink !== undefined && written !== undefined) lack(scope, 'mode has no meaning for a symbolic link');
  const isSecret = file.sensitive ?? itemDefaults.file.sensitive;
  const mode = written ?? defaultMode(file, isSecret);
  if (isSecret && mode !== undefined && /[1-7]$/.test(mode))
    lack(scope, `mode ${mode} lets everybody reach a sensitive file`);
  return mode;
}

function defaultMode(file: FileDocument, isSecret: boolean): string | undefined {
  if (file.symlink !== undefined) return undefined;
  if (file.directory) return itemDefaults.folderMode;
  return isSecret ? itemDefaults.secretFileMode : itemDefaults.file.mode;
}

/** A file with its defaults; `scope` hears what is wrong with it. */
export function completeFile(file: FileDocument, scope: Scope): FileItem {
  if (fileForms.every((form) => file[form] === undefined))
    lack(scope, `the file ${file.path} has no content: give one of ${fileForms.join(', ')}`);
  return completed(fileCompletion, file, scope);
}

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

type UnitDocument = Item<Section<'units'>>;
type DropInDocument = Item<UnitDocument['dropIns']>;
interface DropInItem {
  readonly name: string;
  readonly content: MaybeSecret;
}
export type UnitItem = Omit<
  With<UnitDocument, Policy | 'deferrable' | 'onChange' | 'deadline' | 'sensitive' | 'inputs'>,
  'content' | 'dropIns'
> & { readonly content?: MaybeSecret; readonly dropIns: readonly DropInItem[] };

const unitCompletion: Completion<UnitDocument, UnitItem> = {
  name: kept,
  content: (text, unit) => (text === undefined ? undefined : secret(text, isSecretUnit(unit))),
  dropIns: (dropIns, unit, scope) =>
    (dropIns ?? []).map((dropIn, index) =>
      completed(dropInCompletion(isSecretUnit(unit)), dropIn, within(scope, index)),
    ),
  enablement: kept,
  state: kept,
  inputs: or([]),
  onChange: (onChange, { name }) => onChange ?? unitDefaults(name).onChange,
  readiness: kept,
  deadline: (deadline, { name }) => deadline ?? unitDefaults(name).deadline,
  sensitive: or(itemDefaults.unit.sensitive),
  ...policy,
  scope: (written, { name }, scope) => {
    if (written === 'shared' && isIdentityUnit(name)) refuseShared(name, scope);
    return written ?? unitDefaults(name).scope;
  },
  deferrable: or(itemDefaults.unit.deferrable),
};

function isSecretUnit(unit: UnitDocument): boolean {
  return unit.sensitive ?? itemDefaults.unit.sensitive;
}

function dropInCompletion(isSecret: boolean): Completion<DropInDocument, DropInItem> {
  return {
    name: kept,
    content: (text, dropIn, scope) => {
      if (text === undefined) lack(scope, `content is missing for the drop-in ${dropIn.name}`);
      return secret(text ?? '', isSecret);
    },
  };
}

export function completeUnit(unit: UnitDocument, scope: Scope): UnitItem {
  if (unit.enablement === 'masked' && (unit.content !== undefined || unit.state === 'started')) {
    const beside = unit.content === undefined ? 'the state started' : 'a unit file';
    lack(within(scope, 'enablement'), `the unit ${unit.name} cannot be masked and have ${beside}`);
  }
  return completed(unitCompletion, unit, scope);
}

// ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────

type ActionDocument = Item<Section<'actions'>>;
export type ActionItem = With<ActionDocument, Policy | 'deferrable' | 'timeout' | 'argv' | 'guard'>;

const actionCompletion: Completion<ActionDocument, ActionItem> = {
  name: kept,
  argv: required(({ name }) => `argv is missing for the action ${name}`),
  guard: required(({ name }) => `guard is missing for the action ${name}: it must say when the action is already done`),
  env: kept,
  timeout: or(itemDefaults.action.timeout),
  ...policy,
  deferrable: or(itemDefaults.action.deferrable),
};

export function completeAction(action: ActionDocument, scope: Scope): ActionItem {
  return completed(actionCompletion, action, scope);
}

// ── kernel ───────────────────────────────────────────────────────────────────────────────────────────────────────

type ModuleDocument = Item<Section<'kernel'>['modules']>;
type SysctlDocument = Item<Section<'kernel'>['sysctls']>;
export type ModuleItem = With<ModuleDocument, Policy>;
export type SysctlItem = With<SysctlDocument, Policy | 'value'>;

const moduleCompletion: Completion<ModuleDocument, ModuleItem> = { name: kept, ...policy, deferrable: kept };

const sysctlCompletion: Completion<SysctlDocument, SysctlItem> = {
  key: kept,
  value: required(({ key }) => `value is missing for ${key}`),
  ...policy,
  deferrable: kept,
};

export function completeModule(module: ModuleDocument, scope: Scope): ModuleItem {
  return completed(moduleCompletion, module, scope);
}

export function completeSysctl(sysctl: SysctlDocument, scope: Scope): SysctlItem {
  return completed(sysctlCompletion, sysctl, scope);
}

// ── sources of programs, transfers ───────────────────────────────────────────────────────────────────────────────

type TarballDocument = NonNullable<BinarySourcesDocument['tarball']>;
type TarballItem = Omit<TarballDocument, 'url'> & { readonly url: MaybeSecret };
export type BinarySourcesItem = Omit<BinarySourcesDocument, 'tarball'> & { readonly tarball?: TarballItem };
export type TransferItem = Omit<TransferDocument, 'proxy'> & { readonly proxy?: SensitiveText };

const tarballCompletion: Completion<TarballDocument, TarballItem> = {
  url: addressOf,
  type: kept,
  member: kept,
  digest: kept,
};

export const sourcesCompletion: Completion<BinarySourcesDocument, BinarySourcesItem> = {
  local: kept,
  mirror: kept,
  repository: kept,
  tarball: section(tarballCompletion),
};

export const transferCompletion: Completion<TransferDocument, TransferItem> = {
  budget: kept,
  caFile: kept,
  proxy: sensitive,
  noProxy: kept,
  mirrors: kept,
};

/** The transfers of an artifact; a proxy may hold a password. */
export function completeTransfer(transfer: TransferDocument): TransferItem {
  return completed(transferCompletion, transfer, { path: [], lacks: [], kubernetesVersion: '' });
}

// ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────

type ToolDocument = NonNullable<Section<'binaries'>['tools']>[string];
export type ToolItem = Omit<
  With<ToolDocument, Policy | 'deferrable' | 'version' | 'target' | 'type'>,
  'url' | 'privateUrl' | 'sources'
> & { readonly url?: MaybeSecret; readonly privateUrl?: MaybeSecret; readonly sources?: BinarySourcesItem };

function toolCompletion(name: string): Completion<ToolDocument, ToolItem> {
  return {
    policy: kept,
    version: (version, _tool, { kubernetesVersion }) => version ?? kubernetesVersion,
    url: maybeAddress,
    privateUrl: maybeAddress,
    digest: kept,
    member: kept,
    type: or(itemDefaults.tool.type),
    package: kept,
    sources: section(sourcesCompletion),
    target: or(`/opt/bin/${name}`),
    ...policy,
    deferrable: or(itemDefaults.tool.deferrable),
  };
}

export function completeTool(name: string, tool: ToolDocument, scope: Scope): ToolItem {
  return completed(toolCompletion(name), tool, scope);
}

/** Nothing says where it comes from or goes, as in our defaults: an extension that brings the program takes its place. */
export function isPlainTool({ policy, version, target, type, url, privateUrl, sources }: ToolDocument): boolean {
  return [policy, version, target, type, url, privateUrl, sources].every((value) => value === undefined);
}

// ── extensions ───────────────────────────────────────────────────────────────────────────────────────────────────

type ExtensionDocument = Item<Section<'extensions'>>;
type ExtensionTarballDocument = NonNullable<ExtensionDocument['tarball']>;
type ExtensionTarballItem = Omit<ExtensionTarballDocument, 'url'> & { readonly url: MaybeSecret };
export type ExtensionItem = Omit<With<ExtensionDocument, 'tools'>, 'url' | 'tarball'> & {
  readonly url?: MaybeSecret;
  readonly tarball?: ExtensionTarballItem;
};

const extensionTarballCompletion: Completion<ExtensionTarballDocument, ExtensionTarballItem> = {
  url: addressOf,
  member: kept,
  digest: kept,
};

const extensionCompletion: Completion<ExtensionDocument, ExtensionItem> = {
  name: kept,
  version: (version, { name, registry }, scope) => {
    const chosen = version ?? (isOfKubernetes(name) ? scope.kubernetesVersion : undefined);
    if (registry !== undefined && chosen === undefined)
      lack(scope, `version is missing for the extension ${name}: a tag is chosen by it`);
    return chosen;
  },
  path: kept,
  registry: kept,
  revision: kept,
  plainHttp: kept,
  signature: kept,
  url: maybeAddress,
  tarball: section(extensionTarballCompletion),
  digest: kept,
  tools: (tools, { name }) => tools ?? (isOfKubernetes(name) ? ['kubelet', 'kubectl'] : [name]),
};

function isOfKubernetes(extension: string): boolean {
  return extension === 'kubernetes';
}

export function completeExtension(extension: ExtensionDocument, scope: Scope): ExtensionItem {
  const { name, path, registry, url, tarball } = extension;
  if ([path, registry, url, tarball].every((source) => source === undefined))
    lack(scope, `the extension ${name} has no source: give at least one of path, registry, url, tarball`);
  return completed(extensionCompletion, extension, scope);
}

// ── registries ───────────────────────────────────────────────────────────────────────────────────────────────────

type RegistryDocument = Item<Section<'containerd'>['registries']>;
type MirrorDocument = Item<RegistryDocument['mirrors']>;
type MirrorItem = With<MirrorDocument, 'capabilities' | 'overridePath' | 'skipVerify'>;
export type RegistryItem = Omit<RegistryDocument, 'mirrors'> & { readonly mirrors: readonly MirrorItem[] };

const mirrorCompletion: Completion<MirrorDocument, MirrorItem> = {
  url: kept,
  capabilities: or([...itemDefaults.mirror.capabilities]),
  overridePath: or(itemDefaults.mirror.overridePath),
  caFile: kept,
  skipVerify: or(itemDefaults.mirror.skipVerify),
};

const registryCompletion: Completion<RegistryDocument, RegistryItem> = {
  host: kept,
  server: kept,
  mirrors: each((mirror: MirrorDocument, scope) => completed(mirrorCompletion, mirror, scope)),
};

export function completeRegistry(registry: RegistryDocument, scope: Scope): RegistryItem {
  return completed(registryCompletion, registry, scope);
}
