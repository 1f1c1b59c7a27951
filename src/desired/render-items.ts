/**
 * From items of a document (files, units, actions, kernel settings) and from a few words of ours to resources. Pure.
 */
import type { ActionItem, FileItem, ModuleItem, SysctlItem, UnitItem } from '../config/complete-items.ts';
import { nothingLeft } from '../config/completion.ts';
import { parseDuration } from '../config/duration.ts';
import type {
  ActionResource,
  FileContent,
  FileResource,
  Importance,
  KernelResource,
  Readiness,
  ResourceId,
  ResourceKind,
  Resources,
  Scope,
  SensitiveText,
  UnitResource,
} from '../model/resources.ts';
import { isResourceId, isSensitive, reveal } from '../model/resources.ts';
import { addressOf } from '../model/shown-address.ts';

/**
 * For each kind of resource, what renders the items of a document that ask for one, by the name of the list they stand in;
 * a kind that no item of it asks for says why. Mapped over the kinds, so that a new one is missed by no document.
 */
export type ItemRenderers = { readonly [K in ResourceKind]: RenderersOf<K> | NoItem };

interface RenderersOf<K extends ResourceKind> {
  readonly [list: string]: (...about: never) => Resources[K] | readonly Resources[K][] | undefined;
}

interface NoItem {
  readonly noItem: string;
}

/** What a resource of ours says about itself, when it differs from what is usual. */
export interface Policy {
  readonly scope?: Scope;
  readonly importance?: Importance;
  readonly deferrable?: boolean;
  readonly needs?: readonly string[];
  readonly takeover?: boolean;
  readonly origin?: string | undefined;
}

export function base(policy: Policy) {
  return {
    scope: policy.scope ?? 'node',
    deferrable: policy.deferrable ?? false,
    importance: policy.importance ?? 'required',
    needs: (policy.needs ?? []).map(asResourceId),
    ...(policy.takeover === true && { takeover: true }),
    ...(policy.origin !== undefined && { origin: policy.origin }),
  } as const;
}

function asResourceId(text: string): ResourceId {
  if (isResourceId(text)) return text;
  throw new TypeError(`not a resource id: ${text}`);
}

// ── ours ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export function textFile(
  path: string,
  text: string | SensitiveText,
  options: Policy & { mode?: string } = {},
): FileResource {
  const mode = options.mode ?? '0644';
  return {
    kind: 'file',
    id: `file:${path}`,
    path,
    ...base(options),
    entry: { type: 'file', content: { text }, mode, uid: 0, gid: 0 },
  };
}

export function folder(path: string, options: Policy & { mode?: string } = {}): FileResource {
  return {
    kind: 'file',
    id: `file:${path}`,
    path,
    ...base(options),
    entry: { type: 'directory', mode: options.mode ?? '0755', uid: 0, gid: 0 },
  };
}

// ── a document's ─────────────────────────────────────────────────────────────────────────────────────────────────

interface ItemPolicy {
  readonly scope: Scope;
  readonly importance: Importance;
  readonly needs: readonly string[];
  readonly takeover: boolean;
  readonly deferrable?: boolean | undefined;
}

/** What may be said about every item, apart from the item's own fields. */
export function splitPolicy<Item extends ItemPolicy>(item: Item) {
  const { scope, importance, needs, takeover, deferrable, ...own } = item;
  return { policy: { scope, importance, needs, takeover, deferrable: deferrable ?? false }, own };
}

export function fileOf(item: FileItem, origin: string | undefined): FileResource {
  const { policy, own } = splitPolicy(item);
  const {
    path,
    content,
    contentBase64,
    symlink,
    directory,
    mode = '0644',
    owner,
    group,
    sensitive: _wrapped,
    ...rest
  } = own;
  nothingLeft(rest);
  const common = { kind: 'file', id: `file:${path}`, path, ...base({ ...policy, origin }) } as const;
  if (symlink !== undefined) return { ...common, entry: { type: 'symlink', target: symlink } };
  const [uid, gid] = [accountId(owner), accountId(group)];
  if (directory) return { ...common, entry: { type: 'directory', mode, uid, gid } };
  const data = contentOf({ content, contentBase64 });
  return { ...common, entry: { type: 'file', content: data, mode, uid, gid } };
}

function contentOf({
  content,
  contentBase64,
}: {
  readonly content: FileItem['content'] | undefined;
  readonly contentBase64: FileItem['contentBase64'] | undefined;
}): FileContent {
  if (contentBase64 === undefined) return { text: content ?? '' };
  const base64 = reveal(contentBase64).replaceAll(/\s/g, '');
  return { base64: isSensitive(contentBase64) ? { sensitive: base64 } : base64 };
}

function accountId(account: number | 'root'): number {
  return account === 'root' ? 0 : account;
}

export function unitOf(item: UnitItem, origin: string | undefined): UnitResource {
  const { policy, own } = splitPolicy(item);
  const {
    name,
    content,
    dropIns,
    enablement,
    state,
    inputs,
    onChange,
    readiness,
    deadline,
    sensitive: _wrapped,
    ...rest
  } = own;
  nothingLeft(rest);
  return {
    kind: 'unit',
    id: `unit:${name}`,
    name,
    ...base({ ...policy, origin }),
    ...(content !== undefined && { content }),
    dropIns,
    ...(enablement !== undefined && { enablement }),
    ...(state !== undefined && { state }),
    inputs: inputs.map(inputId),
    onChange,
    readiness: readinessOf(readiness),
    deadlineMs: parseDuration(deadline),
  };
}

/** A document's words about a unit of ours: additions to its drop-ins, inputs and needs; everything else it says wins. */
export function extendUnit(unit: UnitResource, item: UnitItem, origin: string | undefined): UnitResource {
  const said = unitOf(item, origin);
  const dropIns = new Map([...unit.dropIns, ...said.dropIns].map((dropIn) => [dropIn.name, dropIn]));
  return {
    ...unit,
    ...said,
    dropIns: [...dropIns.values()],
    inputs: [...unit.inputs, ...said.inputs],
    needs: [...unit.needs, ...said.needs],
    readiness: item.readiness ? said.readiness : unit.readiness,
  };
}

function readinessOf(item: UnitItem['readiness']): Readiness {
  if (!item) return { type: 'active' };
  const { http, socket, ...rest } = item;
  nothingLeft(rest);
  if (http !== undefined) return { type: 'http', url: addressOf(http) };
  if (socket !== undefined) return { type: 'socket', path: socket };
  return { type: 'active' };
}

function inputId(input: string): ResourceId {
  return input.startsWith('/') ? `file:${input}` : asResourceId(input);
}

export function actionOf(item: ActionItem, origin: string | undefined): ActionResource {
  const { policy, own } = splitPolicy(item);
  const { name, argv, guard, env, timeout, ...rest } = own;
  nothingLeft(rest);
  return {
    kind: 'action',
    id: `action:${name}`,
    ...base({ ...policy, origin }),
    argv,
    guard: guardOf(guard),
    ...(env && {
      env: Object.fromEntries(Object.entries(env).map(([variable, value]) => [variable, { sensitive: value }])),
    }),
    timeoutMs: parseDuration(timeout),
  };
}

function guardOf({ path, command, ...rest }: ActionItem['guard']): ActionResource['guard'] {
  nothingLeft(rest);
  return path === undefined ? { type: 'command', argv: command ?? [] } : { type: 'path', path };
}

export function moduleOf(item: ModuleItem, origin: string | undefined): KernelResource {
  const { policy, own } = splitPolicy(item);
  const { name, ...rest } = own;
  nothingLeft(rest);
  return {
    kind: 'kernel',
    id: `kernel:module/${name}`,
    ...base({ ...policy, origin }),
    setting: { type: 'module', name },
  };
}

export function sysctlOf(item: SysctlItem, origin: string | undefined): KernelResource {
  const { policy, own } = splitPolicy(item);
  const { key, value, ...rest } = own;
  nothingLeft(rest);
  const setting = { type: 'sysctl', key, value: String(value) } as const;
  return { kind: 'kernel', id: `kernel:sysctl/${key}`, ...base({ ...policy, origin }), setting };
}
