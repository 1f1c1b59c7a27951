/**
 * Everything that can be said of documents without the machine they are for: each by its schema, NodeConfigs also merged,
 * completed and rendered for a typical host. Pure.
 */
import { configCheck, isNodeConfig, problemsIn } from '../config/inspect.ts';
import { parseDocument, type DocumentText } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import type { Problem } from '../errors.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import { renderNode } from './render-node.ts';

/** What is to be said of documents. */
export interface DocumentCheck {
  /** Empty when the documents are valid. */
  readonly problems: readonly Problem[];
  /** What is allowed, but worth a thought. */
  readonly warnings: readonly string[];
}

/** Documents in the order they merge; every problem of all of them at once. Never throws for what a document says. */
export async function checkDocuments(
  texts: readonly DocumentText[],
  facts: Facts = exampleFacts,
): Promise<DocumentCheck> {
  const problems = await configCheck(texts);
  if (problems.length > 0) return { problems, warnings: [] };
  const nodeConfigs = (await Promise.all(texts.map((text) => parseDocument(text)))).filter(isNodeConfig);
  if (nodeConfigs.length === 0) return { problems, warnings: [] };
  try {
    const { config, placeOf } = resolveNodeConfig(nodeConfigs);
    return { problems, warnings: renderNode(config, facts, { placeOf }).warnings };
  } catch (thrown) {
    return { problems: problemsIn(thrown), warnings: [] };
  }
}
