/**
 * Stryker's ignore plugin `messages`: text that only people read is no behaviour. A literal is such text when it is the
 * message or a hint of an error, the description of a field, or the reason that a plan prints or a choice gives. Codes,
 * ids, paths, unit text and every other string that a program reads stay mutated. Nor are calls that only the compiler
 * reads.
 */
import type { Ignorer, NodePath } from '@stryker-mutator/api/ignore';
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** The reasons in Stryker's report, by which the table tells these from mutants that were ignored by hand. */
const message = 'text for people';
const typeCheck = 'a check of types';
export const withoutBehaviour: ReadonlySet<string> = new Set([message, typeCheck]);

/** Functions that do nothing: their argument must have a type. */
const typeChecks = new Set(['nothingLeft']);

/** The part of Babel's path and nodes that is read here; Stryker gives them without a type. */
interface Path {
  readonly node: Node;
  readonly parentPath: Path | null;
  readonly key: string | number | null;
  readonly listKey?: string;
}
interface Node {
  readonly type: string;
  readonly callee?: Node;
  /** Of a statement. */
  readonly expression?: Node;
  readonly name?: string;
  readonly property?: Node;
  readonly key?: Node;
  readonly value?: unknown;
  readonly id?: Node;
}

/** Properties whose value is for people. */
const properties = new Set([
  'message',
  'hint',
  'why',
  'details',
  'meaning',
  'error',
  'lines',
  'label',
  'description',
  'noItem',
]);

/** Variables whose value becomes that of such a property. */
const variables = new Set(['details', 'cacheRefusals']);

/** Calls, with the places of their arguments that are for people; `NodekilnError` and `Error` are called with `new`. */
const calls: Readonly<Record<string, readonly number[]>> = {
  NodekilnError: [1],
  Error: [0],
  TypeError: [0],
  RangeError: [0],
  wants: [0],
  wantsSecret: [0],
  doc: [0],
  opt: [0],
  describe: [0],
  matching: [1],
  text: [0],
  secretText: [0],
  lack: [1, 2],
  report: [1, 2],
  required: [1],
  refuseProblems: [0],
  invalidDocument: [0],
  fail: [0, 2],
  note: [1],
  invalid: [1],
  unreadable: [1],
  unusableMember: [1, 2],
};

/** What they are given becomes part of what they return. */
const passedOn = new Set(['join', 'map', 'flatMap']);

/** Every text that these are given is for people: `readBy` says who reads a field. */
const tables = new Set(['readBy']);

/** Functions that return words for people: why a source or a build does not serve, why a step stands where it stands. */
const tellers = new Set(['consider', 'tooEarly', 'replaced', 'objection', 'vocabularyHint', 'reasonFor']);

/** Through these a literal is still the same text: parts of a sentence, one of several, a list of lines. */
const transparent = new Set([
  'TemplateLiteral',
  'ConditionalExpression',
  'LogicalExpression',
  'BinaryExpression',
  'ArrayExpression',
  'SpreadElement',
  'ParenthesizedExpression',
  'TSAsExpression',
  'TSSatisfiesExpression',
  'ArrowFunctionExpression',
]);

function isForPeople(path: Path): boolean {
  for (let at = path, up = path.parentPath; up; at = up, up = up.parentPath) {
    const { node } = up;
    // The test of a condition is no text.
    if (node.type === 'ConditionalExpression' && at.key === 'test') return false;
    if (transparent.has(node.type)) continue;
    if (node.type === 'ObjectProperty')
      return at.key === 'value' && (properties.has(nameOf(node.key)) || isInTable(up.parentPath));
    if (node.type === 'VariableDeclarator') return variables.has(nameOf(node.id));
    if (node.type === 'ReturnStatement') return isInTeller(up);
    if (node.type === 'CallExpression' || node.type === 'NewExpression') {
      if (at.listKey !== 'arguments') {
        // `[…].join(', ')` is the text of its parts.
        continue;
      }
      if (passedOn.has(nameOf(node.callee))) continue;
      return calls[nameOf(node.callee)]?.includes(Number(at.key)) ?? false;
    }
    if (node.type === 'MemberExpression') continue;
    return false;
  }
  return false;
}

function isInTable(object: Path | null): boolean {
  return object?.listKey === 'arguments' && tables.has(nameOf(object.parentPath?.node.callee));
}

function isInTeller(statement: Path): boolean {
  let at: Path | null = statement;
  while (at && !/Function|Method/.test(at.node.type)) at = at.parentPath;
  return at?.node.id !== undefined && tellers.has(nameOf(at.node.id));
}

function nameOf(node: Node | undefined): string {
  if (node?.type === 'Identifier') return node.name ?? '';
  if (node?.type === 'StringLiteral') return String(node.value);
  if (node?.type === 'MemberExpression') return nameOf(node.property);
  return '';
}

export const messages: Ignorer = {
  shouldIgnore(path: NodePath) {
    const here = path as Path;
    const literal = here.node.type === 'StringLiteral' || here.node.type === 'TemplateLiteral';
    if (literal && isForPeople(here)) return message;
    const { expression } = here.node;
    return expression?.callee && typeChecks.has(nameOf(expression.callee)) ? typeCheck : undefined;
  },
};

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'messages', messages)];
