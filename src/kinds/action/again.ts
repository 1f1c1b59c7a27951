/**
 * Which failures of package managers pass by themselves, by what they say (in the C locale). Sources: apt's and librepo's
 * messages. Pure.
 */
import type { PackageManager } from '../../model/resources.ts';

interface Outcomes {
  /** It may, whatever else it said: what others say follows from it. */
  readonly surely: readonly RegExp[];
  /** It may do better a little later. */
  readonly when: readonly RegExp[];
  /** It will not, whatever else it said. */
  readonly unless: readonly RegExp[];
}

/** A network, a mirror in the middle of being published, and another package manager: all of them pass. */
const network = [
  /temporary failure/i,
  /could not (?:resolve|connect|handshake)/i,
  /unable to connect/i,
  /cannot initiate the connection/i,
  /connection (?:failed|timed out|refused|reset|was interrupted)/i,
  /timeout was reached/i,
  /operation too slow/i,
  /error reading from server/i,
  /remote end closed/i,
];

const apt: Outcomes = {
  // Of an index and a signature from two publications, and of an index that is not whole; both are "not signed" as well.
  surely: [/BADSIG/, /clearsigned file isn't valid/i, /into data and signature failed/i],
  when: [
    ...network,
    /hash sum mismatch/i,
    /file has unexpected size/i,
    /undetermined error/i,
    /mirror sync in progress/i,
    /\b(?:404|408|429|5\d\d)  \S/i,
    /could not get lock/i,
    /unable to (?:lock|acquire)/i,
  ],
  unless: [
    /does not have a release file/i,
    /NO_PUBKEY|EXPKEYSIG|REVKEYSIG/i,
    /is not (?:signed|valid yet)/i,
    /release file .* is expired/i,
    /unable to locate package/i,
    /version .* was not found/i,
  ],
};

/** dnf, dnf5, microdnf (librepo's words), tdnf and yum. */
const dnf: Outcomes = {
  surely: [],
  when: [
    ...network,
    /curl error/i,
    /status code: (?:404|408|429|5\d\d)/i,
    /checksum (?:doesn't|does not) match/i,
    /no more mirrors/i,
    /failed to download metadata/i,
    /cannot download/i,
    /transaction lock/i,
    /failed to synchronize cache/i,
    /error: (?:404|408|429|5\d\d) when downloading/i,
    /http error (?:404|408|429|5\d\d)/i,
    /does not match (?:checksum|metalink)/i,
    /cannot retrieve repository metadata/i,
  ],
  unless: [/gpg check failed/i, /unable to find a match/i, /no match for argument/i, /nothing provides/i],
};

const outcomes: Readonly<Record<PackageManager, Outcomes>> = { apt, dnf };

/** The line that says that it may do better a little later; undefined when it will not. */
export function passingTrouble(manager: PackageManager, lines: readonly string[]): string | undefined {
  const { surely, when, unless } = outcomes[manager];
  const matching = (patterns: readonly RegExp[]): string | undefined =>
    lines.find((line) => patterns.some((pattern) => pattern.test(line)));
  return matching(surely) ?? (matching(unless) === undefined ? matching(when) : undefined);
}
