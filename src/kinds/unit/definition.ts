/** What defines a unit on a host: its unit file and drop-ins in /etc/systemd/system, and how they differ from what is wanted. Pure. */
import { unitFolder } from '../../desired/places.ts';
import type { ResourceId, UnitResource } from '../../model/resources.ts';
import type { EntryObservation, Touched, WriteEntry } from '../../model/steps.ts';
import { compareEntry, textEntry } from '../file/entry.ts';
import { definitionsOf } from '../planner.ts';

/** Paths of ours and what belongs there. */
export function unitEntries(unit: UnitResource): Map<string, WriteEntry> {
  const entries = new Map<string, WriteEntry>();
  if (unit.content !== undefined) entries.set(`${unitFolder}/${unit.name}`, textEntry(unit.content));
  for (const dropIn of unit.dropIns) {
    entries.set(`${unitFolder}/${unit.name}.d/${dropIn.name}`, textEntry(dropIn.content));
  }
  return entries;
}

/** Every path that this definition and the earlier ones may have left, for observation. */
export function unitPaths(unit: UnitResource | undefined, touched: Touched | undefined): string[] {
  const definitions = [...definitionsOf(touched, 'unit'), ...(unit ? [unit] : [])];
  return [...new Set(definitions.flatMap((definition) => [...unitEntries(definition).keys()]))].sort();
}

export interface DefinitionDifference {
  readonly path: string;
  readonly detail: string;
  /** Absent: an earlier definition left it and it must go. */
  readonly wanted: WriteEntry | undefined;
}

export function definitionDifferences(
  unit: UnitResource,
  observed: Readonly<Record<string, EntryObservation>>,
  touched: Touched | undefined,
): DefinitionDifference[] {
  const wanted = unitEntries(unit);
  const differences: DefinitionDifference[] = [];
  for (const [path, entry] of wanted) {
    const difference = compareEntry(entry, observed[path] ?? { type: 'absent' });
    if (difference) differences.push({ path, detail: difference.details.join(', '), wanted: entry });
  }
  for (const path of unitPaths(undefined, touched)) {
    const present = observed[path] !== undefined && observed[path].type !== 'absent';
    if (!wanted.has(path) && present) differences.push({ path, detail: 'is not wanted any more', wanted: undefined });
  }
  return differences;
}

export function isRunning(activeState: string): boolean {
  return (
    activeState === 'active' ||
    activeState === 'activating' ||
    activeState === 'reloading' ||
    activeState === 'refreshing'
  );
}

/** Its start was intended, and nothing says that it came to that: what runs may be older than what is in place. */
export function owesStart(touched: Touched | undefined): boolean {
  return touched?.startedWith === '';
}

/** Places that systemd reads for the unit itself. */
export function definitionPlaces(name: string): string[] {
  return [`${unitFolder}/${name}`, `${unitFolder}/${name}.d`];
}

/** What must be in place before a start. */
export function namedBy({ inputs, startInputs = [], needs }: UnitResource): ResourceId[] {
  return [...inputs, ...startInputs, ...needs];
}
