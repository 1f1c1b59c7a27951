/** What the words of `./dev mutants` choose of rooms and named faults. */
interface Named {
  readonly name: string;
}

export interface Choice<R extends Named, F extends Named> {
  readonly rooms: readonly R[];
  readonly faults: readonly F[];
  /** That every rule has a fault is asked where all faults are. */
  readonly allFaults: boolean;
  /** Words that choose nothing. */
  readonly unknown: readonly string[];
}

/** No word: everything. `faults` alone: all of them. A room by its name; every other word: the faults that have it in theirs. */
export function choose<R extends Named, F extends Named>(
  words: readonly string[],
  all: { readonly rooms: readonly R[]; readonly faults: readonly F[] },
): Choice<R, F> {
  const everything = words.length === 0;
  const parts = words.filter((word) => word !== 'faults' && !all.rooms.some(({ name }) => name === word));
  const allFaults = everything || (words.includes('faults') && parts.length === 0);
  return {
    rooms: all.rooms.filter(({ name }) => everything || words.includes(name)),
    faults: all.faults.filter(({ name }) => allFaults || parts.some((part) => name.includes(part))),
    allFaults,
    unknown: parts.filter((part) => !all.faults.some(({ name }) => name.includes(part))),
  };
}
