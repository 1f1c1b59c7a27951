/**
 * From items of a document (files, units, actions, kernel settings) and from a few words of ours to resources. Pure.
 */
import type { ActionItem, FileItem, ModuleItem, SysctlItem, UnitItem } from '../config/complete.ts';
import { parseDuration } from '../config/duration.ts';
import type {
  ActionResource,
  FileContent,
  FileResource,
  Importance,
  KernelResource,
  Readiness,
  ResourceId,
  Scope,
  SensitiveText,
  UnitResource,
} from '../model/resources.ts';
import { isResourceId, isSensitive, reveal } from '../model/resources.ts';

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

export function fileOf(item: FileItem, origin: string | undefined): FileResource {
  const [uid, gid] = [accountId(item.owner), accountId(item.group)];
  const common = { kind: 'file', id: `file:${item.path}`, path: item.path, ...base({ ...item, origin }) } as const;
  if (item.symlink !== undefined) return { ...common, entry: { type: 'symlink', target: item.symlink } };
  const mode = item.mode ?? '0644';
  if (item.directory) return { ...common, entry: { type: 'directory', mode, uid, gid } };
  return { ...common, entry: { type: 'file', content: contentOf(item), mode, uid, gid } };
}

function contentOf(item: FileItem): FileContent {
  if (item.contentBase64 === undefined) return { text: item.content ?? '' };
  const base64 = reveal(item.contentBase64).replaceAll(/\s/g, '');
  return { base64: isSensitive(item.contentBase64) ? { sensitive: base64 } : base64 };
}

function accountId(account: number | 'root'): number {
  return account === 'root' ? 0 : account;
}

export function unitOf(item: UnitItem, origin: string | undefined): UnitResource {
  return {
    kind: 'unit',
    id: `unit:${item.name}`,
    name: item.name,
    ...base({ ...item, origin }),
    ...(item.content !== undefined && { content: item.content }),
    dropIns: item.dropIns,
    ...(item.enablement !== undefined && { enablement: item.enablement }),
    ...(item.state !== undefined && { state: item.state }),
    inputs: item.inputs.map(inputId),
    onChange: item.onChange,
    readiness: readinessOf(item),
    deadlineMs: parseDuration(item.deadline),
  };
}

/** A document's words about a unit of ours: additions to its drop-ins, inputs and needs; everything else it says wins. */
export function extendUnit(unit: UnitResource, item: UnitItem, origin: string | undefined): UnitResource {
  const own = new Map(unit.dropIns.map((dropIn) => [dropIn.name, dropIn]));
  for (const dropIn of item.dropIns) own.set(dropIn.name, dropIn);
  return {
    ...unit,
    ...(origin !== undefined && { origin }),
    ...(item.content !== undefined && { content: item.content }),
    ...(item.enablement !== undefined && { enablement: item.enablement }),
    ...(item.state !== undefined && { state: item.state }),
    ...(item.takeover && { takeover: true }),
    dropIns: [...own.values()],
    inputs: [...unit.inputs, ...item.inputs.map(inputId)],
    needs: [...unit.needs, ...item.needs.map(asResourceId)],
    readiness: item.readiness ? readinessOf(item) : unit.readiness,
  };
}

function readinessOf({ readiness }: UnitItem): Readiness {
  if (readiness?.http !== undefined) return { type: 'http', url: readiness.http };
  if (readiness?.socket !== undefined) return { type: 'socket', path: readiness.socket };
  return { type: 'active' };
}

function inputId(input: string): ResourceId {
  return input.startsWith('/') ? `file:${input}` : asResourceId(input);
}

export function actionOf(item: ActionItem, origin: string | undefined): ActionResource {
  const { guard } = item;
  return {
    kind: 'action',
    id: `action:${item.name}`,
    ...base({ ...item, origin }),
    argv: item.argv,
    guard:
      guard.path === undefined ? { type: 'command', argv: guard.command ?? [] } : { type: 'path', path: guard.path },
    ...(item.env && { env: item.env }),
    timeoutMs: parseDuration(item.timeout),
  };
}

export function moduleOf(item: ModuleItem, origin: string | undefined): KernelResource {
  return {
    kind: 'kernel',
    id: `kernel:module/${item.name}`,
    ...base({ ...item, deferrable: false, origin }),
    setting: { type: 'module', name: item.name },
  };
}

export function sysctlOf(item: SysctlItem, origin: string | undefined): KernelResource {
  const setting = { type: 'sysctl', key: item.key, value: String(item.value) } as const;
  return { kind: 'kernel', id: `kernel:sysctl/${item.key}`, ...base({ ...item, deferrable: false, origin }), setting };
}
