/**
 * Kubernetes versions as the tools image sees them: `major.minor` only, since a tag stands for a minor version. Pure.
 * In: any spelling the version parser reads, and what API servers add to it (`1.30+`). NK_VERSION_INVALID otherwise.
 */
import { parseVersion } from './version.ts';
import { NodekilnError } from '../errors.ts';

export function minorOf(version: string): string {
  const [major = '', minor = ''] = parseVersion(version.trim().replace(/\+$/, '')).upstream.split('.');
  if (/^\d{1,9}$/.test(major) && /^\d{1,9}$/.test(minor)) return `${Number(major)}.${Number(minor)}`;
  throw new NodekilnError(
    'NK_VERSION_INVALID',
    `the version ${JSON.stringify(version)} has no major and minor number`,
    {
      hint: 'Write it like 1.34 or 1.34.3.',
    },
  );
}

export function isMinorOfVersion(version: string): boolean {
  try {
    minorOf(version);
    return true;
  } catch {
    return false;
  }
}

/** Negative when `left` is older. Both as `minorOf` returns them. */
export function compareMinors(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}

export function newestMinor(minors: readonly string[]): string | undefined {
  return [...minors].sort(compareMinors).at(-1);
}
