/**
 * From loaded NodeConfig sources, in their order, to the one NodeConfig a node has, with the place of every value.
 * NK_DOCUMENT_INVALID with everything that is missing or contradicts itself after merging. Pure.
 */
import type { Place } from '../errors.ts';
import { completeNodeConfig } from './complete.ts';
import type { NodeConfig } from './complete.ts';
import { familiesIn } from './address-families.ts';
import { defaultsFor } from './defaults.ts';
import { invalidDocument } from './invalid.ts';
import type { LoadedDocument } from './load.ts';
import { merge } from './merge.ts';
import { formatPath, isMap, valueAt } from './paths.ts';
import type { Path } from './paths.ts';
import type { PositionTarget } from './positions.ts';
import { issuesInWords, placed } from './problems.ts';
import { apiVersion, nodeConfigDocument } from './schema-node.ts';

/** A complete NodeConfig, and where its values come from. */
export interface ResolvedNodeConfig {
  readonly config: NodeConfig;
  /** Where a value stands; undefined for defaults. A path inside `config`, such as `['spec', 'files', 0]`. */
  readonly placeOf: (path: Path) => Place | undefined;
}

/**
 * The one NodeConfig that documents make together, in the order they merge: maps merge, lists replace, keyed lists merge item
 * by item; over the defaults. NK_DOCUMENT_INVALID with everything that is missing or contradicts itself, each with its place.
 */
export function resolveNodeConfig(sources: readonly LoadedDocument<'NodeConfig'>[]): ResolvedNodeConfig {
  const documents = sources.map((source) => source.written);
  const asked = merge(documents).value;
  const defaults = defaultsFor({
    cluster: isMap(valueAt(asked, ['spec', 'cluster'])),
    bridge: valueAt(asked, ['spec', 'network', 'cni', 'type']) === 'bridge',
    families: familiesIn(valueAt(asked, ['spec'])),
  });
  const merged = merge([...defaults.map((spec) => ({ apiVersion, kind: 'NodeConfig', spec })), ...documents]);

  function placeAt(path: Path, target: PositionTarget): { place: Place; path: Path } | undefined {
    const origin = merged.originOf(path);
    const source = origin && sources[origin.source - defaults.length];
    if (!source) return undefined;
    const place = { file: source.file, ...source.positions.locate(origin.path, target), path: formatPath(origin.path) };
    return { place, path: origin.path };
  }

  const placeOf = (path: Path): Place | undefined => placeAt(path, 'value')?.place;

  /** For something that is missing: the nearest thing around it that a source gave. */
  function placeAround(path: Path, target: PositionTarget = 'value'): Place | undefined {
    for (let length = path.length; length > 0; length--) {
      const found = placeAt(path.slice(0, length), length === path.length ? target : 'key');
      if (found) return { ...found.place, path: formatPath([...found.path, ...path.slice(length)]) };
    }
    const last = sources.at(-1);
    return last && { file: last.file, line: 1, column: 1, path: formatPath(path) };
  }

  const checked = nodeConfigDocument.safeParse(merged.value);
  if (!checked.success) {
    const problems = issuesInWords(checked.error.issues, { value: merged.value, placeOf: placeAround });
    throw invalidDocument('the merged sources are not a valid NodeConfig', problems);
  }

  const { config, lacks } = completeNodeConfig(checked.data);
  if (lacks.length > 0) {
    const problems = lacks.map(({ path, ...lack }) => placed(lack, placeAround(path)));
    throw invalidDocument(
      sources.length === 1
        ? `${sources[0]?.file} is not a complete NodeConfig`
        : 'the sources together are not a complete NodeConfig',
      problems,
    );
  }
  return { config, placeOf };
}
