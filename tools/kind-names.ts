/**
 * `plan/` and `apply/` know no kind of resource by name: a new kind is added in `model/` and `kinds/` alone. Run by
 * `./dev lint`; comments and tests may name kinds.
 */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { resourceKinds } from '../src/model/resources.ts';

export interface Finding {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

const names: ReadonlySet<string> = new Set(resourceKinds);
const idPrefix = new RegExp(`^(?:${resourceKinds.join('|')}):`);
const typeName = /^(?:File|Unit|Binary|Extension|(?:Container)?Image|Kernel|Action)(?:Resource|Observation)$/;
const ownFolder = new RegExp(`/kinds/(?:${resourceKinds.join('|')})/`);

/** Every place of a source that names a kind: as text, as the start of an id, by its types, or by importing from its folder. */
export function kindNames(source: string): Finding[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const findings: Finding[] = [];
  const visit = (node: ts.Node): void => {
    if (namesKind(node)) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
      findings.push({ line: line + 1, text: node.getText(file) });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return findings;
}

function namesKind(node: ts.Node): boolean {
  if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node))
    return names.has(node.text) || idPrefix.test(node.text) || ownFolder.test(node.text);
  return ts.isIdentifier(node) && typeName.test(node.text);
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  let seen = 0;
  for await (const path of glob('src/{plan,apply}/**/*.ts', { cwd: root })) {
    if (path.endsWith('.test.ts')) continue;
    seen += 1;
    for (const { line, text } of kindNames(await readFile(join(root, path), 'utf8'))) {
      console.error(`${path}:${line}: ${text} names a kind of resource; ask kinds/planners.ts or kinds/performers.ts`);
      process.exitCode = 1;
    }
  }
  if (seen === 0) {
    console.error('no file of plan/ and apply/ was seen');
    process.exitCode = 1;
  } else if (process.exitCode !== 1) {
    console.log(`${seen} files of plan/ and apply/ name no kind of resource`);
  }
}
