/**
 * YAML 1.2 as documents use it, through the library `yaml`, which is loaded only when a text is not JSON. One document
 * per text, with YAML 1.1's merge keys (`<<`), which writers expect; duplicate keys, unknown tags and alias bombs are refused. Messages never quote the text: it may be secret.
 */
import { NodekilnError } from '../errors.ts';
import type { Place, Problem } from '../errors.ts';
import { lineStarts, positionAt } from './positions.ts';
import { tooDeep, type PositionNode } from './positions.ts';
import { yamlPositions } from './yaml-positions.ts';

export interface ParsedYaml {
  readonly value: unknown;
  readonly root: PositionNode;
}

/** Times an alias may be resolved in one document. */
const maxAliasCount = 100;

/**
 * Words and marks of a text. The library takes two seconds and half a gigabyte for so many, which are 4 MB of files with their
 * content and 1 MB of the densest lists; JSON of that size takes a tenth.
 */
export const mostTokens = 800_000;
/** A shorter text has fewer of them: at most two have no width for one that has. */
const longText = mostTokens / 3;

/** What is said of several documents in one text instead of that they are several: their values, and where the second begins. */
export type OfSeveral = (values: readonly unknown[], second: Place) => NodekilnError | undefined;

/** NK_DOCUMENT_SYNTAX with every problem the parser found. */
export async function parseYaml(file: string, text: string, ofSeveral?: OfSeveral): Promise<ParsedYaml> {
  const yaml = await import('yaml');
  const lines = lineStarts(text);
  const at = (offset: number, message: string): Problem => ({ message, place: { file, ...positionAt(lines, offset) } });
  const beyond = text.length > longText ? endOfTokens(new yaml.Lexer().lex(text)) : undefined;
  if (beyond !== undefined) throw tooLong(file, at(beyond, `here it has more than ${mostTokens} words and marks`));
  // Keys are compared below: the library compares each with all before it.
  const documents = parsing(file, () =>
    yaml.parseAllDocuments(text, { prettyErrors: false, logLevel: 'silent', uniqueKeys: false, merge: true }),
  );

  const [document, second] = 'empty' in documents ? [] : documents;
  if (!document) return { value: null, root: { start: 0, children: new Map() } };

  const problems = [...document.errors, ...document.warnings].map((error) =>
    at(error.pos[0], plain(error.code, error.message)),
  );
  // What follows is said in the parser's words of what it makes of the rest.
  const beyondEnd = document.errors.findIndex(({ message }) => message.endsWith(' at node end'));
  if (beyondEnd >= 0) problems.splice(beyondEnd + 1);
  if (problems.length > 0) throw syntaxError(file, problems);

  const positions = yamlPositions(yaml, document, { at, refusal: (problem) => syntaxError(file, [problem]) });
  try {
    // First: it counts how often aliases are resolved.
    const value: unknown = document.toJS({ maxAliasCount });
    const root = positions.root();
    problems.push(...positions.problems);
    if (second) {
      const beginning = at(second.range[0], 'a second document begins here; one file holds one document');
      const values = 'empty' in documents ? [] : documents.map(valueOf);
      throw (beginning.place && ofSeveral?.(values, beginning.place)) ?? syntaxError(file, [...problems, beginning]);
    }
    if (problems.length > 0) throw syntaxError(file, problems);
    return { value, root };
  } catch (thrown) {
    if (thrown instanceof NodekilnError) throw thrown;
    // Alias bombs and aliases of missing anchors are found only while resolving.
    if (thrown instanceof RangeError) throw syntaxError(file, [at(0, tooDeep)]);
    const message = thrown instanceof Error ? (thrown.message.split(': ')[0] ?? '') : 'cannot be resolved';
    if (message.startsWith('Merge sources'))
      throw syntaxError(file, [at(positions.badMerge(), '`<<` takes a map, or a list of maps')]);
    throw syntaxError(file, [at(0, message)]);
  }
}

interface OneOfSeveral {
  readonly errors: readonly unknown[];
  toJS(options: { maxAliasCount: number }): unknown;
}

/** Undefined where it has none. */
function valueOf(one: OneOfSeveral): unknown {
  try {
    return one.errors.length === 0 ? one.toJS({ maxAliasCount }) : undefined;
  } catch {
    return undefined;
  }
}

function parsing<Result>(file: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof RangeError) throw syntaxError(file, [{ message: tooDeep, place: { file } }]);
    throw thrown;
  }
}

/** What the lexer says between the words of the text: a document begins, a scalar, or a flow ends. */
const widthless = new Set(['\x02', '\x1f', '\x18']);

/** Where the last token that is allowed ends; undefined when there are no more. */
function endOfTokens(tokens: Iterable<string>): number | undefined {
  let count = 0;
  let end = 0;
  for (const token of tokens) {
    if (!widthless.has(token)) end += token.length;
    count += 1;
    if (count > mostTokens) return end;
  }
  return undefined;
}

function tooLong(file: string, problem: Problem): NodekilnError {
  return new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is too long for YAML: ${problem.message}`, {
    ...(problem.place && { place: problem.place }),
    problems: [problem],
    hint: 'Write it as JSON, which is read ten times as fast, or divide it.',
  });
}

function syntaxError(file: string, problems: readonly Problem[]): NodekilnError {
  const [first] = problems;
  return new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is not well-formed: ${first?.message ?? ''}`, {
    ...(first?.place && { place: first.place }),
    problems,
  });
}

/** The library's words, without the parts that quote the text. */
function plain(code: string, message: string): string {
  if (message.endsWith(' at node end'))
    return 'what stands before this is complete: nothing may follow here; one file holds one document';
  switch (code) {
    case 'RESOURCE_EXHAUSTION':
      return tooDeep;
    case 'TAB_AS_INDENT':
      return 'a tab is used for indentation; use spaces';
    case 'BAD_DIRECTIVE':
      return 'this directive is not known';
    case 'TAG_RESOLVE_FAILED':
      return 'this tag is not known';
    case 'BAD_INDENT':
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
    case 'MISSING_CHAR':
    case 'UNEXPECTED_TOKEN':
      return (message.split(/: /)[0] ?? message).trim();
    default:
      return message.split('\n')[0] ?? message;
  }
}
