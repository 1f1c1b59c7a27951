/** What `verify` finds: one result per checked property, none of which keeps another from being looked at. Pure. */

export const areas = [
  'binaries',
  'packages',
  'images',
  'units',
  'files',
  'extensions',
  'cache',
  'identity',
  'manifest',
] as const;
export type Area = (typeof areas)[number];

export interface Check {
  readonly area: Area;
  /** What is checked: a path, a package, an image, a unit. */
  readonly subject: string;
  /** What about it: `digest`. */
  readonly property: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly detail?: string;
}

/** Adds results to one area about one subject. */
export interface Subject {
  pass(property: string): void;
  fail(property: string, detail: string): void;
  skip(property: string, detail: string): void;
  /** `problem` undefined: passed. */
  judge(property: string, problem: string | undefined): boolean;
}

export function subjectOf(checks: Check[], area: Area, subject: string): Subject {
  const add = (property: string, status: Check['status'], detail?: string): void =>
    void checks.push({ area, subject, property, status, ...(detail !== undefined && { detail }) });
  return {
    pass: (property) => add(property, 'passed'),
    fail: (property, detail) => add(property, 'failed', detail),
    skip: (property, detail) => add(property, 'skipped', detail),
    judge(property, problem) {
      add(property, problem === undefined ? 'passed' : 'failed', problem);
      return problem === undefined;
    },
  };
}
