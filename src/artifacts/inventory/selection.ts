/**
 * Questions to an inventory: which block holds for a platform, which versions it names, which of them goes with a
 * Kubernetes version, and why. "Nothing" is always a typed answer. Pure.
 *
 * Rules: a level that exists ends the search even when it is empty; an empty variant means DEFAULT; names of systems
 * are compared without regard to case.
 */
import { NodekilnError } from '../../errors.ts';
import { systemdArch, parseArch } from '../../model/arch.ts';
import type { Inventory, InventoryImage, InventoryPackage, PlatformBlock, VersionEntry } from './inventory.ts';
import { compareVersions, parseVersion } from '../../model/version.ts';
import type { Order, Version } from '../../model/version.ts';

export interface Platform {
  /** Identifier in os-release or an inventory's own name: `ubuntu`, `azurelinux`, `marinerkata`, `flatcar`, `acl`. */
  readonly os: string;
  /** `24.04`, `3.0`; '' where releases have no part in the choice. */
  readonly release: string;
  readonly variant?: string;
}

export interface BlockChoice {
  readonly block: PlatformBlock | undefined;
  /** The key that was found, `ubuntu.r2204`. */
  readonly key: string | undefined;
  /** Keys that were looked for before it and are not there. */
  readonly absent: readonly string[];
}

const defaultVariant = 'DEFAULT';

/** The block of a package that holds for a platform, and which keys were tried. */
export function selectBlock(item: InventoryPackage, platform: Platform): BlockChoice {
  const absent: string[] = [];
  for (const { os, release, variant } of blockKeys(platform)) {
    const key = `${os}.${variant === undefined ? '' : `${variant}/`}${release}`;
    const block = item.blocks.find((one) => one.os === os && one.release === release && one.variant === variant);
    if (block) return { block, key, absent };
    absent.push(key);
  }
  return { block: undefined, key: undefined, absent };
}

interface BlockKey {
  readonly os: string;
  readonly release: string;
  readonly variant: string | undefined;
}

function blockKeys(platform: Platform): BlockKey[] {
  const os = platform.os.toLowerCase();
  const variant = (platform.variant ?? '') === '' ? defaultVariant : (platform.variant ?? '').toUpperCase();
  const fallback: BlockKey = { os: 'default', release: 'current', variant: undefined };
  // ACL is built from Flatcar, whatever it calls itself.
  if (os === 'acl' || (os === 'azurelinux' && variant === 'ACL'))
    return [{ os: 'flatcar', release: 'current', variant: undefined }, fallback];
  const release = releaseKey(os, platform.release);
  const both = (name: string): BlockKey[] => [
    { os, release: name, variant },
    { os, release: name, variant: undefined },
  ];
  return [...(release === undefined ? [] : both(release)), ...both('current'), fallback];
}

function releaseKey(os: string, release: string): string | undefined {
  if (release === '') return undefined;
  if (os === 'ubuntu') return `r${release.replaceAll('.', '')}`;
  return /^(azurelinux|mariner)(kata)?$/.test(os) ? `v${release}` : undefined;
}

export type VersionChoice =
  /** The platform brings its own. */
  | { readonly type: 'skip'; readonly key: string }
  | {
      readonly type: 'versions';
      readonly key: string;
      readonly versions: readonly string[];
      readonly url: string | undefined;
    }
  /** Nothing is to be done there: no block, or one without versions. */
  | { readonly type: 'none'; readonly key: string | undefined; readonly absent: readonly string[] };

/** Latest and previous of every entry, in order. The older list counts only where there is no newer one. */
export function selectVersions(item: InventoryPackage, platform: Platform): VersionChoice {
  const { block, key, absent } = selectBlock(item, platform);
  if (!block || key === undefined) return { type: 'none', key: undefined, absent };
  if (block.entries?.[0]?.skip) return { type: 'skip', key };
  const versions = block.entries ? flatten(block.entries) : (block.legacyVersions ?? []);
  if (versions.length === 0) return { type: 'none', key, absent };
  return { type: 'versions', key, versions, url: block.url === '' ? undefined : block.url };
}

/** For amd64 those of amd64 alone and those for all; for others the latter. Images for Windows have none here. */
export function imageVersions(image: InventoryImage, architecture: string): string[] {
  const forAll = image.multiArch ? flatten(image.multiArch) : [...(image.legacyMultiArch ?? [])];
  return parseArch(architecture) === 'amd64' ? [...(image.amd64Only ?? []), ...forAll] : forAll;
}

function flatten(entries: readonly VersionEntry[]): string[] {
  return entries
    .flatMap((entry) => (entry.skip ? [] : [entry.latest, entry.previous]))
    .filter((version) => typeof version === 'string');
}

/**
 * `${version}`, `${CPU_ARCH}` and `${SYSTEMD_ARCH}` replaced; anything else that a shell would evaluate is refused, and
 * nothing is ever evaluated. NK_DOCUMENT_INVALID.
 */
export function expandInventoryUrl(template: string, values: { version: string; architecture: string }): string {
  const known: Readonly<Record<string, () => string>> = {
    '${version}': () => values.version,
    '${CPU_ARCH}': () => parseArch(values.architecture),
    '${SYSTEMD_ARCH}': () => systemdArch(values.architecture),
  };
  const parts = template.split(/(\$\{[A-Za-z_]+\})/);
  for (const part of parts) {
    if (Object.hasOwn(known, part) || !/[$`]/.test(part)) continue;
    throw new NodekilnError(
      'NK_DOCUMENT_INVALID',
      `the address ${JSON.stringify(template)} holds ${JSON.stringify(part)}, which is no placeholder`,
      {
        hint: `Use ${Object.keys(known).join(', ')}.`,
      },
    );
  }
  return parts.map((part) => known[part]?.() ?? part).join('');
}

// ── a component for a Kubernetes version ─────────────────────────────────────────────────────────────────────────

/**
 * What to do when no version of the same minor is there. `fail`: nothing. `nearest-lower`: the highest of the nearest
 * lower minor. `nearest`: that, else the highest of the nearest higher minor.
 */
export type MinorPolicy = 'fail' | 'nearest-lower' | 'nearest';

export type ComponentChoice =
  | { readonly type: 'match'; readonly version: string; readonly how: 'same-minor' | 'lower-minor' | 'higher-minor' }
  | { readonly type: 'none'; readonly why: string; readonly seen: readonly string[] };

export interface ComponentRequest {
  readonly kubernetes: string;
  readonly policy: MinorPolicy;
  /** How revisions of one version compare. */
  readonly order: Exclude<Order, 'semver'>;
}

/** NK_VERSION_INVALID when the Kubernetes version is none. Texts of the inventory that are none are never chosen. */
export function componentForKubernetes(versions: readonly string[], request: ComponentRequest): ComponentChoice {
  const wanted = minorOf(parseVersion(request.kubernetes));
  const candidates = versions.flatMap((text) => {
    const version = versionOrNone(text);
    return version ? [{ text, minor: minorOf(version) }] : [];
  });
  const highestOf = (minor: number | undefined): string | undefined =>
    candidates
      .filter((candidate) => candidate.minor === minor)
      .map((candidate) => candidate.text)
      .sort((a, b) => compareVersions(b, a, request.order))[0];

  const same = highestOf(wanted);
  if (same !== undefined) return { type: 'match', version: same, how: 'same-minor' };
  const minors = candidates.map((candidate) => candidate.minor);
  const lower = highestOf(Math.max(...minors.filter((minor) => minor < wanted)));
  if (lower !== undefined && request.policy !== 'fail') return { type: 'match', version: lower, how: 'lower-minor' };
  const higher = highestOf(Math.min(...minors.filter((minor) => minor > wanted)));
  if (higher !== undefined && request.policy === 'nearest')
    return { type: 'match', version: higher, how: 'higher-minor' };
  const why =
    versions.length === 0
      ? 'the platform has no versions'
      : `no version goes with Kubernetes ${request.kubernetes} under the policy ${request.policy}`;
  return { type: 'none', why, seen: versions };
}

function versionOrNone(text: string): Version | undefined {
  try {
    return parseVersion(text);
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.code === 'NK_VERSION_INVALID') return undefined;
    throw thrown;
  }
}

/** Major and minor as one number that orders. */
function minorOf(version: Version): number {
  const [major = '0', minor = '0'] = version.upstream.split('.');
  return Number(major) * 100_000 + Number(minor);
}

// ── everything for one platform ──────────────────────────────────────────────────────────────────────────────────

export interface ResolvedPackage {
  readonly name: string;
  readonly choice: VersionChoice;
  /** The address of each version, in their order; empty where the package manager serves. */
  readonly urls: readonly string[];
  /** Why the addresses cannot be made: their template holds something that is no placeholder. */
  readonly refused?: NodekilnError;
}

/** What an inventory says about one platform, package by package, with every address expanded. */
export function resolveInventory(
  inventory: Inventory,
  request: Platform & { architecture: string; component?: string },
): ResolvedPackage[] {
  return inventory.packages
    .filter((item) => request.component === undefined || item.name === request.component)
    .map((item) => resolvePackage(item, request));
}

function resolvePackage(item: InventoryPackage, request: Platform & { architecture: string }): ResolvedPackage {
  const choice = selectVersions(item, request);
  const plain = { name: item.name, choice, urls: [] };
  if (choice.type !== 'versions' || choice.url === undefined) return plain;
  const { url } = choice;
  const { architecture } = request;
  try {
    return { ...plain, urls: choice.versions.map((version) => expandInventoryUrl(url, { version, architecture })) };
  } catch (thrown) {
    if (!(thrown instanceof NodekilnError) || thrown.code !== 'NK_DOCUMENT_INVALID') throw thrown;
    return { ...plain, refused: thrown };
  }
}
