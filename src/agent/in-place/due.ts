/** Which updates in place a node is still to make: what documents ask for, against what was made and what runs. Pure. */
import { NodekilnError } from '../../errors.ts';
import type { InPlaceUpdates, KubeletTraits, RotatedCredentials } from '../../desired/in-place.ts';
import { isMap } from '../../config/paths.ts';

export type UpdateKind = 'operatingSystem' | 'kubelet' | 'certificateAuthorities' | 'serviceAccountKey';

export interface DueUpdate {
  readonly kind: UpdateKind;
  /** `kubelet 1.33.13 → 1.34.4` */
  readonly what: string;
}

/** An update of the system that was begun. */
export interface SystemAttempt {
  readonly version: string;
  /** Of the boot in which it was begun: in another one the system has started anew. */
  readonly bootId: string;
  /** Its command has ended well: only the start of the new system is missing. */
  readonly ended: boolean;
}

/** What has failed, and is not begun again by itself. */
export interface UpdateFailure {
  /** What was to be made. */
  readonly what: string;
  readonly reason: string;
  /** The Node says so. */
  readonly isSaid: boolean;
}

/** What the journal keeps. Absent before the first documents were applied that say anything of updates. */
export interface InPlaceNote {
  readonly kubelet: KubeletTraits;
  readonly credentials: RotatedCredentials;
  readonly system?: SystemAttempt;
  readonly failure?: UpdateFailure;
}

const noteKey = 'in-place updates';

interface Notes {
  note(key: string, isSuch?: (value: unknown) => boolean): unknown;
  setNote(key: string, value: unknown): void;
}

export function inPlaceNote(notes: Pick<Notes, 'note'>): InPlaceNote | undefined {
  const note = notes.note(noteKey, (value) => value === null || isInPlaceNote(value));
  return (note ?? undefined) as InPlaceNote | undefined;
}

function isInPlaceNote(value: unknown): boolean {
  return isMap(value) && isMap(value['kubelet']) && isMap(value['credentials']);
}

export function setInPlaceNote(notes: Notes, note: InPlaceNote): void {
  notes.setNote(noteKey, note);
}

export function clearInPlaceNote(notes: Notes): void {
  notes.setNote(noteKey, null);
}

/** Of one that has all of it, as the first documents of a machine find it. */
export function noteOf({ kubelet, credentials }: InPlaceUpdates): InPlaceNote {
  return { kubelet, credentials };
}

/**
 * None before the first documents were applied: a machine begins with what it is given. NK_VERSION_INVALID when the version of
 * the system makes no sense.
 */
export function dueUpdates(
  note: InPlaceNote | undefined,
  { operatingSystem, kubelet, credentials }: InPlaceUpdates,
  runningSystem: string | undefined,
): readonly DueUpdate[] {
  if (!note) return [];
  const due: DueUpdate[] = [];
  if (operatingSystem && !sameVersion(runningSystem ?? '', operatingSystem.version))
    due.push({
      kind: 'operatingSystem',
      what: `operating system ${runningSystem ?? 'of an unknown version'} → ${operatingSystem.version}`,
    });
  const changed = kubeletChange(note.kubelet, kubelet);
  if (changed !== undefined) due.push({ kind: 'kubelet', what: changed });
  for (const [kind, what] of [
    ['certificateAuthorities', 'certificate authorities'],
    ['serviceAccountKey', 'key of service accounts'],
  ] as const) {
    const begun = credentials[kind];
    if (begun !== undefined && begun !== note.credentials[kind])
      due.push({ kind, what: `${what} rotated at ${begun}` });
  }
  return due;
}

/** In words; undefined when pods need not be gone for it: another patch version, any other setting. */
export function kubeletChange(before: KubeletTraits, after: KubeletTraits): string | undefined {
  const [from, to] = [minorOf(before.version), minorOf(after.version)];
  if (from !== undefined && to !== undefined && from !== to)
    return `kubelet ${before.version ?? ''} → ${after.version ?? ''}`;
  if (before.cpuManagerPolicy !== after.cpuManagerPolicy)
    return `cpuManagerPolicy ${before.cpuManagerPolicy} → ${after.cpuManagerPolicy}`;
  const keys = new Set([...Object.keys(before.reservations), ...Object.keys(after.reservations)]);
  for (const key of [...keys].sort()) {
    const [was, is] = [before.reservations[key], after.reservations[key]];
    if (was !== is) return `${key} ${was ?? 'unset'} → ${is ?? 'unset'}`;
  }
  return undefined;
}

/** `1.34` of `v1.34.3`; undefined where there is none. */
export function minorOf(version: string | undefined): string | undefined {
  return /^v?(\d+\.\d+)/.exec(version ?? '')?.[1];
}

/**
 * What runs, by PRETTY_NAME of os-release(5), `Garden Linux 1592.6`: the first dotted number that stands alone. Undefined when
 * there is none.
 */
export function systemVersionIn(prettyName: string): string | undefined {
  return /\b\d+(?:\.\d+)*\b/.exec(prettyName)?.[0];
}

/** `1.2` is `1.2.0`, `v1.2-rc` too: numbers count. NK_VERSION_INVALID when the wanted one is none. */
export function sameVersion(running: string, wanted: string): boolean {
  const numbers = numbersOf(wanted);
  if (!numbers)
    throw new NodekilnError('NK_VERSION_INVALID', `${wanted} is no version of an operating system`, {
      hint: 'Give dotted numbers, like 1877.3.',
    });
  const [own = [], length] = [numbersOf(running), Math.max(numbers.length, numbersOf(running)?.length ?? 0)];
  if (own.length === 0) return false;
  return Array.from({ length }, (_, at) => at).every((at) => (own[at] ?? 0) === (numbers[at] ?? 0));
}

function numbersOf(version: string): number[] | undefined {
  const [plain = ''] = version.replace(/^v/, '').split(/[-+~]/);
  return /^\d+(?:\.\d+)*$/.test(plain) ? plain.split('.').map(Number) : undefined;
}
