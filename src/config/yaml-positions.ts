/** Where the parts of a YAML document stand, with what aliases and merge keys bring, and which keys stand twice. */
import type * as Yaml from 'yaml';
import type { NodekilnError, Problem } from '../errors.ts';
import { deepest, tooDeep, type PositionNode } from './positions.ts';

const secondKey = 'this key stands a second time in its map';

export interface YamlPositions {
  /** What is nested too deep is thrown. */
  root(): PositionNode;
  /** What was found on the way. */
  readonly problems: readonly Problem[];
  /** Where the first merge key is that takes neither a map nor a list of them. */
  badMerge(): number;
}

interface Telling {
  readonly at: (offset: number, message: string) => Problem;
  readonly refusal: (problem: Problem) => NodekilnError;
}

/** `yaml`: the library, which is loaded only when it is needed. */
export function yamlPositions(
  yaml: typeof Yaml,
  document: Yaml.Document.Parsed,
  { at, refusal }: Telling,
): YamlPositions {
  const problems: Problem[] = [];
  return { root: () => positionNode(document.contents, undefined, new Set()), problems, badMerge };

  function positionNode(node: unknown, keyStart: number | undefined, open: Set<unknown>): PositionNode {
    const target = yaml.isAlias(node) ? node.resolve(document) : node;
    const start = yaml.isNode(node) ? (node.range?.[0] ?? 0) : (keyStart ?? 0);
    const children = new Map<string | number, PositionNode>();
    if (open.has(target)) problems.push(at(start, 'this alias refers to what it stands in itself'));
    else if (open.size > deepest) throw refusal(at(start, tooDeep));
    else {
      open.add(target);
      if (yaml.isMap(target)) {
        const merges = target.items.filter(({ key }) => isMergeKey(key));
        if (merges[1]) problems.push(at(startOf(merges[1].key), secondKey));
        for (const { key, value } of target.items) {
          if (isMergeKey(key)) continue;
          const name = yaml.isScalar(key) ? String(key.value) : String(key);
          if (children.has(name)) problems.push(at(startOf(key), secondKey));
          children.set(name, positionNode(value, yaml.isNode(key) ? key.range?.[0] : undefined, open));
        }
        for (const { value } of merges) addMerged(children, value, open);
      } else if (yaml.isSeq(target)) {
        for (const [index, item] of target.items.entries()) children.set(index, positionNode(item, undefined, open));
      }
      open.delete(target);
    }
    return { start, children, ...(keyStart !== undefined && { keyStart }) };
  }

  /** `<<`, written plainly: the library gives it a symbol for its value. */
  function isMergeKey(key: unknown): boolean {
    return yaml.isScalar(key) && typeof key.value === 'symbol';
  }

  function startOf(node: unknown): number {
    return yaml.isNode(node) ? (node.range?.[0] ?? 0) : 0;
  }

  /** Where the first is that the library refused. */
  function badMerge(): number {
    let found = 0;
    const isMap = (node: unknown): boolean => yaml.isMap(yaml.isAlias(node) ? node.resolve(document) : node);
    yaml.visit(document, {
      Pair(_position, { key, value }) {
        if (!isMergeKey(key)) return undefined;
        const source = yaml.isAlias(value) ? value.resolve(document) : value;
        if ((yaml.isSeq(source) ? source.items : [source]).every(isMap)) return undefined;
        found = startOf(key);
        return yaml.visit.BREAK;
      },
    });
    return found;
  }

  /** What is merged stands where it was written; the map's own keys and earlier maps come first. */
  function addMerged(children: Map<string | number, PositionNode>, merged: unknown, open: Set<unknown>): void {
    const source = yaml.isAlias(merged) ? merged.resolve(document) : merged;
    const nodes = yaml.isSeq(source) ? source.items : [merged];
    for (const node of nodes)
      for (const [key, child] of positionNode(node, undefined, open).children)
        if (!children.has(key)) children.set(key, child);
  }
}
