/**
 * Everything that can be said of documents without the machine they are for: each by its schema, NodeConfigs also merged,
 * completed and rendered for a typical host, documents of other people's kinds each as it would be alone. Pure.
 */
import { configCheck, isNodeConfig, problemsIn } from '../config/inspect.ts';
import { parseDocument, parseText, type DocumentText } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { renderNode } from '../desired/render-node.ts';
import type { Problem } from '../errors.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import { keyOf } from './kinds/kind.ts';
import { documentKinds, type KindTable } from './kinds/table.ts';

/** What is to be said of documents. */
export interface DocumentCheck {
  /** Empty when the documents are valid. */
  readonly problems: readonly Problem[];
  /** What is allowed, but worth a thought. */
  readonly warnings: readonly string[];
  /** What follows from what they do not say, or is known only later. */
  readonly notes: readonly string[];
}

/** Documents in the order they merge; every problem of all of them at once. Never throws for what a document says. */
export async function checkDocuments(
  texts: readonly DocumentText[],
  facts: Facts = exampleFacts,
): Promise<DocumentCheck> {
  const own: DocumentText[] = [];
  const checks: DocumentCheck[] = [];
  for (const text of texts) {
    const check = await checkForeign(text, facts);
    if (check) checks.push(check);
    else own.push(text);
  }
  checks.push(await checkOwn(own, facts));
  return {
    problems: checks.flatMap(({ problems }) => problems),
    warnings: checks.flatMap(({ warnings }) => warnings),
    notes: checks.flatMap(({ notes }) => notes),
  };
}

/** Undefined for what is a document of ours, or is to be told so. */
async function checkForeign(text: DocumentText, facts: Facts): Promise<DocumentCheck | undefined> {
  try {
    const parsed = await parseText(text);
    const kinds: KindTable = documentKinds;
    const key = keyOf(parsed);
    const kind = Object.hasOwn(kinds, key) ? await kinds[key]?.() : undefined;
    if ((kind?.describes !== 'node' && kind?.describes !== 'agent') || !kind.check) return undefined;
    return { problems: [], ...(await kind.check(parsed, facts)) };
  } catch (thrown) {
    return { problems: problemsIn(thrown), warnings: [], notes: [] };
  }
}

async function checkOwn(texts: readonly DocumentText[], facts: Facts): Promise<DocumentCheck> {
  const problems = await configCheck(texts);
  if (problems.length > 0) return { problems, warnings: [], notes: [] };
  const nodeConfigs = (await Promise.all(texts.map((text) => parseDocument(text)))).filter(isNodeConfig);
  if (nodeConfigs.length === 0) return { problems, warnings: [], notes: [] };
  try {
    const { config, placeOf } = resolveNodeConfig(nodeConfigs);
    const { warnings, notes = [] } = renderNode(config, facts, { placeOf });
    return { problems, warnings, notes };
  } catch (thrown) {
    return { problems: problemsIn(thrown), warnings: [], notes: [] };
  }
}
