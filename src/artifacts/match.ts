/**
 * The choice of the exact build among packages, extensions or tags: names and versions are parsed and compared, never
 * searched as text, so a neighbour (1.34.10 for 1.34.1, 11.34.1, a prerelease, another package) is never taken. Pure;
 * `match-directory.ts` reads folders.
 *
 * Among several packages of the build asked for, the highest revision wins, by the order of their kind. An extension may
 * be asked for by its minor line (`1.33`), which gives the highest release of that line.
 */
import { asArch, debArch, rpmArch, systemdArch } from '../model/arch.ts';
import { compareDebian, compareRpm, parseVersion, satisfies } from '../model/version.ts';
import type { Version } from '../model/version.ts';

/** What builds are packed as. */
export type BuildKind = 'deb' | 'rpm' | 'sysext';

/** The exact build that is wanted. */
export interface BuildRequest {
  readonly kind: BuildKind;
  /** The package's name: `kubelet`. */
  readonly component: string;
  /** `1.34.1`; a pinned revision or distribution is honoured. */
  readonly version: string;
  /** In the vocabulary of the kind: `amd64`, `x86_64`, `x86-64`. See `architectureFor`. */
  readonly architecture: string;
}

/** A build that is there, as it describes itself. */
export interface Candidate {
  /** File name or tag. */
  readonly file: string;
  readonly name: string;
  readonly version: string;
  /** As the package writes it; '' when it names none. */
  readonly architecture: string;
}

/** The build that a request gets, and why no other. */
export interface BuildChoice {
  readonly chosen: Candidate | undefined;
  /** Every other candidate and why it was passed over. */
  readonly passedOver: readonly { readonly file: string; readonly why: string }[];
  /** What may be wrong with the request itself. */
  readonly hint?: string;
}

/** NK_VERSION_INVALID when the version asked for is none. */
export function matchBuild(request: BuildRequest, candidates: readonly Candidate[]): BuildChoice {
  const wanted = parseVersion(request.version);
  const passedOver: { file: string; why: string }[] = [];
  const fitting: Candidate[] = [];
  for (const candidate of candidates) {
    const why = objection(request, wanted, candidate);
    if (why === undefined) fitting.push(candidate);
    else passedOver.push({ file: candidate.file, why });
  }
  const order = (a: Candidate, b: Candidate): number => compareBuilds(a, b, request.kind);
  const [chosen, ...others] = fitting.sort((a, b) => order(b, a));
  for (const other of others) passedOver.push({ file: other.file, why: `${chosen?.file ?? ''} is newer` });
  const hint = chosen ? undefined : vocabularyHint(request);
  return { chosen, passedOver, ...(hint !== undefined && { hint }) };
}

/** Any spelling of an architecture in the vocabulary of the kind; NK_UNSUPPORTED when it is none. */
export function architectureFor(kind: BuildKind, architecture: string): string {
  switch (kind) {
    case 'deb':
      return debArch(architecture);
    case 'rpm':
      return rpmArch(architecture);
    case 'sysext':
      return systemdArch(architecture);
  }
}

function objection(request: BuildRequest, wanted: Version, candidate: Candidate): string | undefined {
  if (candidate.name !== request.component)
    return candidate.name === ''
      ? `is not named like ${request.component}`
      : `is ${candidate.name}, not ${request.component}`;
  const version = tryParse(candidate.version);
  if (!version)
    return candidate.version === ''
      ? 'names no version'
      : `has the version ${JSON.stringify(candidate.version)}, which is none`;
  if (!satisfies(wanted, version) && !isOfLine(request, wanted, version))
    return `is ${candidate.version}, not ${request.version}`;
  if (candidate.architecture === '') return 'names no architecture';
  const anywhere = request.kind === 'deb' ? 'all' : 'noarch';
  if (
    candidate.architecture === request.architecture ||
    (request.kind !== 'sysext' && candidate.architecture === anywhere)
  )
    return undefined;
  return `is for ${candidate.architecture}, not ${request.architecture}`;
}

/** `1.33` stands for every release of the line; prereleases and tracks have to be asked for. */
function isOfLine(request: BuildRequest, wanted: Version, candidate: Version): boolean {
  if (request.kind !== 'sysext' || !/^\d+\.\d+$/.test(wanted.upstream)) return false;
  if (candidate.prerelease !== undefined || candidate.track !== undefined) return false;
  if (!candidate.upstream.startsWith(`${wanted.upstream}.`)) return false;
  return satisfies({ ...wanted, upstream: candidate.upstream }, candidate);
}

function compareBuilds(a: Candidate, b: Candidate, kind: BuildKind): number {
  return kind === 'rpm' ? compareRpm(a.version, b.version) : compareDebian(a.version, b.version);
}

function vocabularyHint(request: BuildRequest): string | undefined {
  const known = asArch(request.architecture);
  const expected = known && architectureFor(request.kind, known);
  if (expected === undefined || expected === request.architecture) return undefined;
  return `${request.architecture} is called ${expected} in names of ${request.kind === 'sysext' ? 'extensions' : `${request.kind} packages`}`;
}

function tryParse(text: string): Version | undefined {
  try {
    return parseVersion(text);
  } catch {
    return undefined;
  }
}

/** `kubelet-v1.34.1-1-azlinux3-x86-64.raw`: extensions say what they are by their file's name alone. */
export function extensionCandidate(component: string, file: string): Candidate {
  const rest =
    file.startsWith(`${component}-`) && file.endsWith('.raw')
      ? file.slice(component.length + 1, -'.raw'.length)
      : undefined;
  if (rest !== undefined && /^v?\d/.test(rest)) return { ...tagCandidate(component, rest), file };
  return { file, name: file === `${component}.raw` ? component : '', version: '', architecture: '' };
}

/** `v1.34.1-1-azlinux3-x86-64` */
export function tagCandidate(component: string, tag: string): Candidate {
  const architecture = tryParse(tag)?.arch ?? '';
  const version = architecture === '' ? tag : tag.slice(0, -architecture.length - 1);
  return { file: tag, name: component, version: version.replace(/^v/, ''), architecture };
}
