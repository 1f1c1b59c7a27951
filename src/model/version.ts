/**
 * The one parser of version texts, the cache key made from it, and the three orders. Nothing else splits a version. Pure.
 *
 * In: a version as tags, packages, file names and people write it: `1.34.3`, `v1.34.3`, `1:1.34.8-2.azl3`,
 * `1.34.0~rc1-ubuntu24.04u1`, `1.34.0-rc.1`, `1.33.4+ds-1`, `1.34.1+k3s1`, `1.28.103-akslts`, `1.18.8_f0.1`,
 * `v1.34.10-1-azlinux3-x86-64`. Out: `Version`. The only error is NK_VERSION_INVALID; empty is an error.
 *
 * Where the parts come from: epoch and revision are deb-version(7)'s and RPM's release; prerelease and build are
 * semver.org's; a track is a line of builds beside upstream's own (`akslts`, `hotfix.20240712`, `_f0.1`). What vendors and
 * build systems append (`+k3s1`, `-eks-4136f65`, `-gke.1020000`, a commit) is a build however it is joined, and a revision
 * may begin with a letter (`-u1`, `-ppa1`). A hyphenated word that is none of these counts as a track: two builds are then
 * kept apart, never mixed up.
 */
import { NodekilnError } from '../errors.ts';
import { asArch } from './arch.ts';

/** A version in its parts; a part that the text does not have is absent. */
export interface Version {
  readonly epoch?: number;
  /** Dotted numbers without `v`, as written: `1.34.3`, `202604.01.0`. */
  readonly upstream: string;
  /** As written: `rc1`, `rc.1`, `alpha.1.5`. The key sees both spellings of one prerelease as equal. */
  readonly prerelease?: string;
  /** `akslts`, `hotfix.20240712`, `_f0.1`. */
  readonly track?: string;
  /** semver's build metadata, a vendor's or a commit, Debian's repack mark: `k3s1`, `gke.1020000`, `ds1`. Not part of the key. */
  readonly build?: string;
  /** The package's own revision: `5` of `-5.azl3`, `u2` of `-ubuntu22.04u2`, `1u1` of `-1ubuntu22.04u1`. */
  readonly revision?: string;
  /** `azl3`, `ubuntu22.04`, `deb13`, `azlinux3`. */
  readonly distro?: string;
  /** As written: `x86-64`, `amd64`, `aarch64`. */
  readonly arch?: string;
}

type Mutable = { -readonly [Key in keyof Version]: Version[Key] };

const maxLength = 256;
const prereleaseWord = /^(?:(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary)(?:[.\d].*)?|ec\.\d.*|[ab]\d.*)$/i;
/** What vendors of Kubernetes and build systems append: whose build it is, of which commit. */
const buildWord =
  /^(?:(?:k3s|rke2r|rancher|hardened|ck)\d|(?:k0s|eks|eksbuild|gke|aks|do|tke|vke|aliyun|alicloud|iks|vmware|tkg|vkr|okd|openshift|scos|talos|gardener|oke|lke|cce|ce|ee|mirantis|mke|pmk|d2iq|nkp|flannel|build|git|dirty|unknown)(?:[.\d]|$))/i;
/** A commit, shortened or not; a number alone is a date or a revision, letters alone are a word. */
const commit = /^(?:g[0-9a-f]{7,40}|(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40})$/;
/** These count on in numbers of their own: `eks-1-28-40`, `mirantis-1`, `rancher1-1`, `nightly-20241128-2100`. */
const countingBuild = /^(?:eks|mirantis|rancher\d+|nightly)$/;
/** Revisions that begin with a letter: of Azure, of PPAs, of Alpine and Gentoo, of ISC. */
const revisionWord = /^(?:u|ppa|r|p)\d/;
const repackMark = /^(ds|dfsg|repack)[\d.]*$/;
const codename =
  '(?:noble|jammy|focal|bionic|xenial|trusty|lunar|mantic|oracular|plucky|questing|resolute|stretch|buster|bullseye|bookworm|trixie|forky|sid)';
const distroName = `(?:ubuntu|debian|deb|azl|azlinux|azurelinux|cm|mariner|el|rhel|centos|fc|fedora|amzn|suse|sles|opensuse|flatcar|alpine|photon|raspbian|bpo|(?:sle|lp|bp|oe|ky|ph|ol|al|an|tl|mga)(?=\\d)|(?:ubuntu-|debian-)?${codename})`;
const distroPart = new RegExp(
  `^(\\d[\\d.]*?)?[-.+~]?(${distroName}(?:\\.?\\d+(?:[._]\\d+)*)?(?!\\d)(?:~${codename})?)(?:[.+~-]?(u?\\d[\\w.+~]*))?$`,
);
const startsWithDistro = new RegExp(`^${distroName}(?:\\d|$)`);
/** Fedora's older way of writing prereleases in the release: `0.1.rc1.fc30`. */
const prereleaseInRevision = /^0\.(?:\d+\.)?((?:alpha|beta|rc|pre)\.?\d*)(?:\.(.+))?$/;
const archSuffix = /(?:[-_.]linux)?[-_.](x86-64|x86_64|amd64|arm64|aarch64|noarch|all)$/;

/** NK_VERSION_INVALID for anything that does not begin with a dotted number (after an epoch and `v`). */
export function parseVersion(text: string): Version {
  if (text === '') throw invalid(text, 'is empty');
  if (text.length > maxLength) throw invalid(`${text.slice(0, 40)}…`, `is longer than ${maxLength} characters`);
  if (!/^[\x21-\x7e]+$/.test(text)) throw invalid(text, 'contains blanks or characters outside ASCII');

  // One letter may end upstream, as in 1.1.1w.
  const head = /^(?:(\d{1,9}):)?[vV]?(\d+(?:\.\d+)*(?:[a-z](?![A-Za-z\d.]))?)/;
  // Releases of EKS Distro are named v1-29-eks-10.
  const [whole = '', epoch, number = ''] = /^()v(\d+-\d+)(?=-eks-)/.exec(text) ?? head.exec(text) ?? [];
  const upstream = number.replace('-', '.');
  if (upstream === '') throw invalid(text, 'does not begin with a dotted number');

  const version: Mutable = { upstream };
  if (epoch) version.epoch = Number(epoch);

  let rest = text.slice(whole.length);
  const arch = archSuffix.exec(rest);
  if (arch?.[1]) {
    version.arch = arch[1];
    rest = rest.slice(0, -arch[0].length);
  }
  parseSuffixes(version, rest, text);
  return version;
}

/** What follows upstream, from left to right; the first thing that is a package revision takes all that remains. */
function parseSuffixes(version: Mutable, suffixes: string, text: string): void {
  // Python and Go write 1.34rc1.
  let rest = prereleaseWord.test(beginning(suffixes, /^[A-Za-z][^-~+_]*/)) ? `-${suffixes}` : suffixes;
  // Labels and names of images cannot hold a plus sign: VMware writes three hyphens, 1.28.4---vmware.1.
  rest = rest.replace(/---(?=[A-Za-z])/, '+');
  // Python and Ruby write 1.30.0.dev3, 2.0.0.rc1.
  if (rest.startsWith('.') && prereleaseWord.test(beginning(rest.slice(1), /[^-~+_^]*/))) rest = `-${rest.slice(1)}`;
  // OpenSSH counts its portable releases so: 9.2p1.
  if (/^p\d+(?![\w.])/.test(rest)) rest = `+${rest}`;
  while (rest !== '') {
    const separator = rest.charAt(0);
    let token = beginning(rest.slice(1), /[^-~+_^]*/);
    if (token === '') throw invalid(text, `has nothing after "${separator}"`);
    const build = buildAt(rest);
    if (build !== '') {
      token = build;
      addBuild(version, build);
    } else
      switch (separator) {
        case '~':
          if (repackMark.test(token)) addBuild(version, token);
          // Docker counts its packages so: 5:20.10.10~3-0~debian-buster.
          else if (/^\d+$/.test(token)) return parseRevision(version, rest.slice(1), text);
          else if (startsWithDistro.test(token)) return parseRevision(version, rest.slice(1), text);
          else addPrerelease(version, token, text);
          break;
        case '+':
          // Debian's way to go back: 1.20.5+really1.20.2 contains 1.20.2.
          version.upstream = token.slice('really'.length);
          break;
        case '_':
          addTrack(version, `_${token}`, text);
          break;
        case '-':
          if (/^\d/.test(token) || revisionWord.test(token) || startsWithDistro.test(token))
            return parseRevision(version, rest.slice(1), text);
          if (prereleaseWord.test(token)) addPrerelease(version, token, text);
          else addTrack(version, token.replace(/^hotfix\.?(?=\d)/, 'hotfix.'), text);
          break;
        default:
          throw invalid(text, `has "${separator}" where a separator belongs`);
      }
    rest = rest.slice(1 + token.length);
  }
}

/**
 * The build that a text with its separator begins with, or ''. `+` always begins one, and RPM's `^` (a snapshot after the
 * release); `_` stands for `+` in OCI tags, which cannot hold a plus sign; a hyphen needs a word that is known.
 */
function buildAt(rest: string): string {
  const [separator, text] = [rest.charAt(0), rest.slice(1)];
  const first = beginning(text, /[^-~+_^]*/);
  if (!isBuild(separator, first)) return '';
  let build = first;
  for (let next = nextWord(text, build); next !== undefined; next = nextWord(text, build)) {
    const isWord = separator === '-' ? buildWord.test(next) : /^[A-Za-z]/.test(next) && !prereleaseWord.test(next);
    const isOne = commit.test(next) || (isWord && !revisionWord.test(next)) || countingBuild.test(first);
    if (!isOne || startsWithDistro.test(next)) break;
    build += `-${next}`;
  }
  return build;
}

function isBuild(separator: string, word: string): boolean {
  if (separator === '^' || separator === '+') return !/^really\d+(\.\d+)*$/.test(word);
  // A four-digit number after `_` is IBM's of a build; smaller ones are tracks.
  if (separator === '_') return buildWord.test(word) || /^\d{4,}$/.test(word);
  // What follows a tilde comes before the release, but for Docker's name of an edition.
  if (separator === '~') return /^[ce]e$/.test(word);
  return buildWord.test(word) || commit.test(word);
}

/** What is joined by a hyphen to a build that a text begins with. */
function nextWord(text: string, build: string): string | undefined {
  return /^-([^-~+_^]+)/.exec(text.slice(build.length))?.[1];
}

/** `5.azl3`, `1-azlinux3`, `ubuntu22.04u2`, `1ubuntu22.04u1`, `1+deb12u3`, `150500.1.1`. */
function parseRevision(version: Mutable, revision: string, text: string): void {
  const early = prereleaseInRevision.exec(revision);
  if (early?.[1] && version.prerelease === undefined) {
    addPrerelease(version, early[1], text);
    if (early[2]) parseRevision(version, early[2], text);
    return;
  }
  const parts = distroPart.exec(revision);
  if (!parts?.[2]) {
    version.revision = revision;
    return;
  }
  version.distro = parts[2];
  const [lead, tail] = [parts[1] ?? '', parts[3] ?? ''];
  const number = lead !== '' && isDigit(tail[0]) ? `${lead}+${tail}` : `${lead}${tail}`;
  if (number !== '') version.revision = number;
}

function addPrerelease(version: Mutable, token: string, text: string): void {
  if (version.prerelease !== undefined) throw invalid(text, 'names two prereleases');
  version.prerelease = token;
}

function addTrack(version: Mutable, token: string, text: string): void {
  if (/^[^a-z0-9_]/i.test(token)) throw invalid(text, `has "${token}" where a track belongs`);
  version.track = version.track === undefined ? token : joinTrack(version.track, token);
}

function joinTrack(left: string, right: string): string {
  return right.startsWith('_') ? `${left}${right}` : `${left}-${right}`;
}

function addBuild(version: Mutable, token: string): void {
  version.build = version.build === undefined ? token : `${version.build}+${token}`;
}

function invalid(text: string, why: string): NodekilnError {
  return new NodekilnError('NK_VERSION_INVALID', `the version ${JSON.stringify(text)} ${why}`);
}

/** The name a build is cached under: upstream + prerelease + track. The same for every spelling of one build. */
export function cacheKey(version: Version): string {
  const prerelease = version.prerelease === undefined ? '' : canonicalSuffix(version.prerelease);
  const track = version.track === undefined ? '' : version.track.startsWith('_') ? version.track : `-${version.track}`;
  return `${version.upstream}${prerelease}${track}`;
}

/** `-rc.1`; words that are no usual prerelease keep their tilde, so that `~foo` and the track `-foo` stay apart. */
function canonicalSuffix(prerelease: string): string {
  return `${prereleaseWord.test(prerelease) ? '-' : '~'}${canonicalPrerelease(prerelease)}`;
}

/** `rc1`, `RC1` and `rc.1` are one prerelease: `rc.1`. */
function canonicalPrerelease(text: string): string {
  return text.toLowerCase().replace(/^([a-z]+)\.?(?=\d)/, '$1.');
}

/** One canonical spelling; parses back to the same parts. */
export function formatVersion(version: Version): string {
  const epoch = version.epoch === undefined ? '' : `${version.epoch}:`;
  const build = version.build === undefined ? '' : `+${version.build}`;
  const revision = version.revision ?? '';
  // `u2` and what stands after `+` follow a distribution's name, a number precedes it.
  const split = /^(\d[\d.]*)?\+?(.*)$/.exec(revision);
  const [lead, tail] = version.distro === undefined ? [revision, ''] : [split?.[1] ?? '', split?.[2] ?? ''];
  const distro = version.distro === undefined ? '' : `${version.distro}${isDigit(tail[0]) ? '+' : ''}${tail}`;
  const packaging = [lead, distro].filter((part) => part !== '').join('.');
  const arch = version.arch === undefined ? '' : `-${version.arch}`;
  return `${epoch}${cacheKey(version)}${build}${packaging === '' ? '' : `-${packaging}`}${arch}`;
}

/** True when the candidate is the build asked for: same key, and exactly the revision, distribution, build, epoch and architecture that the request pins. */
export function satisfies(request: Version, candidate: Version): boolean {
  if (cacheKey(request) !== cacheKey(candidate)) return false;
  if (request.revision !== undefined && request.revision !== candidate.revision) return false;
  if (request.distro !== undefined && request.distro !== candidate.distro) return false;
  if (request.build !== undefined && request.build !== candidate.build) return false;
  // File names and tags drop the epoch, so a candidate without one may be the one meant.
  if (request.epoch !== undefined && candidate.epoch !== undefined && request.epoch !== candidate.epoch) return false;
  return request.arch === undefined || candidate.arch === undefined || sameArch(request.arch, candidate.arch);
}

function sameArch(left: string, right: string): boolean {
  return left === right || (asArch(left) !== undefined && asArch(left) === asArch(right));
}

// ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whose rules versions are compared by. */
export type Order = 'semver' | 'deb' | 'rpm';
/** Below, the same as, or above zero, as sort functions want it. */
export type Comparison = -1 | 0 | 1;

/**
 * -1 when `left` is older, 1 when it is newer, 0 when neither, in the order of semver, Debian or RPM. NK_VERSION_INVALID.
 */
export function compareVersions(left: string, right: string, order: Order): Comparison {
  switch (order) {
    case 'semver':
      return compareSemver(left, right);
    case 'deb':
      return compareDebian(left, right);
    case 'rpm':
      return compareRpm(left, right);
  }
}

/**
 * semver.org precedence. A leading `v` and missing fields are accepted (`1.34` is `1.34.0`); a text that is no semver
 * (`1.34.0~rc1-ubuntu24.04u1`) counts as its upstream and prerelease.
 */
export function compareSemver(left: string, right: string): Comparison {
  return comparePrecedence(semverParts(left), semverParts(right));
}

/** The gate `version ≥ minimum`, by upstream and prerelease alone: package revisions and tracks never lower a version. */
export function atLeast(version: Version, minimum: Version): boolean {
  return comparePrecedence(versionParts(version), versionParts(minimum)) >= 0;
}

interface Precedence {
  readonly numbers: readonly string[];
  readonly prerelease: readonly string[];
}

function semverParts(text: string): Precedence {
  const strict = /^v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (!strict?.[1]) return versionParts(parseVersion(text));
  return { numbers: strict[1].split('.'), prerelease: strict[2]?.split('.') ?? [] };
}

function versionParts(version: Version): Precedence {
  const prerelease = version.prerelease === undefined ? [] : canonicalPrerelease(version.prerelease).split('.');
  return { numbers: version.upstream.split('.'), prerelease };
}

function comparePrecedence(left: Precedence, right: Precedence): Comparison {
  for (let i = 0; i < Math.max(left.numbers.length, right.numbers.length); i++) {
    const order = compareDigits(left.numbers[i] ?? '0', right.numbers[i] ?? '0');
    if (order !== 0) return order;
  }
  if (left.prerelease.length === 0 || right.prerelease.length === 0) {
    return sign(right.prerelease.length - left.prerelease.length);
  }
  for (let i = 0; i < Math.max(left.prerelease.length, right.prerelease.length); i++) {
    const [a, b] = [left.prerelease[i], right.prerelease[i]];
    if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
    const [aNumber, bNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
    if (aNumber !== bNumber) return aNumber ? -1 : 1;
    const order = aNumber ? compareDigits(a, b) : compareText(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

/** deb-version(7): epoch, then upstream and revision by dpkg's own comparison. */
export function compareDebian(left: string, right: string): Comparison {
  const [a, b] = [debianParts(left), debianParts(right)];
  return (
    compareDigits(a.epoch, b.epoch) ||
    compareDebianPart(a.upstream, b.upstream) ||
    compareDebianPart(a.revision, b.revision)
  );
}

function debianParts(text: string): { epoch: string; upstream: string; revision: string } {
  requireText(text);
  const epoch = /^(\d+):/.exec(text);
  const rest = text.slice(epoch?.[0].length ?? 0);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: epoch?.[1] ?? '0',
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  };
}

/** Non-digits by character (`~` first, then the end, letters, the rest), digits by value, in turn. */
function compareDebianPart(left: string, right: string): Comparison {
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    while ((i < left.length && !isDigit(left[i])) || (j < right.length && !isDigit(right[j]))) {
      const order = sign(debianWeight(left[i]) - debianWeight(right[j]));
      if (order !== 0) return order;
      i++;
      j++;
    }
    const [a, b] = [beginning(left.slice(i), /\d*/), beginning(right.slice(j), /\d*/)];
    const order = compareDigits(a, b);
    if (order !== 0) return order;
    i += a.length;
    j += b.length;
  }
  return 0;
}

function debianWeight(character: string | undefined): number {
  if (character === '~') return -1;
  if (character === undefined || isDigit(character)) return 0;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}

/** rpm-version(7): epoch, version, release, each by rpm's segment comparison; without a release sorts before any release. */
export function compareRpm(left: string, right: string): Comparison {
  const [a, b] = [rpmParts(left), rpmParts(right)];
  const order = compareDigits(a.epoch, b.epoch) || compareRpmPart(a.version, b.version);
  if (order !== 0 || a.release === b.release) return order;
  if (a.release === undefined || b.release === undefined) return a.release === undefined ? -1 : 1;
  return compareRpmPart(a.release, b.release);
}

function rpmParts(text: string): { epoch: string; version: string; release: string | undefined } {
  requireText(text);
  const epoch = /^(\d+):/.exec(text);
  const rest = text.slice(epoch?.[0].length ?? 0);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: epoch?.[1] ?? '0',
    version: dash < 0 ? rest : rest.slice(0, dash),
    release: dash < 0 ? undefined : rest.slice(dash + 1),
  };
}

/** Segments of digits or letters; `~` sorts before everything, `^` after the end but before more text; a number beats a word. */
function compareRpmPart(left: string, right: string): Comparison {
  let [a, b] = [left, right];
  for (;;) {
    a = a.replace(/^[^A-Za-z0-9~^]+/, '');
    b = b.replace(/^[^A-Za-z0-9~^]+/, '');
    if (a[0] === '~' || b[0] === '~') {
      if (a[0] !== b[0]) return a[0] === '~' ? -1 : 1;
      [a, b] = [a.slice(1), b.slice(1)];
      continue;
    }
    if (a[0] === '^' || b[0] === '^') {
      if (a === '' || b === '') return a === '' ? -1 : 1;
      if (a[0] !== b[0]) return a[0] === '^' ? -1 : 1;
      [a, b] = [a.slice(1), b.slice(1)];
      continue;
    }
    if (a === '' || b === '') return sign(a.length - b.length);
    const number = isDigit(a[0]);
    const segment = number ? /^\d+/ : /^[A-Za-z]+/;
    const [x, y] = [beginning(a, segment), beginning(b, segment)];
    if (y === '') return number ? 1 : -1;
    const order = number ? compareDigits(x, y) : compareText(x, y);
    if (order !== 0) return order;
    [a, b] = [a.slice(x.length), b.slice(y.length)];
  }
}

function requireText(text: string): void {
  if (text === '') throw invalid(text, 'is empty');
}

/** What a pattern that matches from the first character on finds there; '' of nothing. */
function beginning(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[0] ?? '';
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}

/** Digits of any length by value. */
function compareDigits(left: string, right: string): Comparison {
  const [a, b] = [left.replace(/^0+/, ''), right.replace(/^0+/, '')];
  return sign(a.length - b.length) || compareText(a, b);
}

function compareText(left: string, right: string): Comparison {
  return left === right ? 0 : left < right ? -1 : 1;
}

function sign(number: number): Comparison {
  return number === 0 ? 0 : number < 0 ? -1 : 1;
}
