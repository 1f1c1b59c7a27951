/**
 * Every test asserts: one that reaches no assertion, by itself or through what it names of the checkout's tests, passes
 * whatever the code does. Run by `./dev lint`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import ts from 'typescript';

export interface Finding {
  /** From 1. */
  readonly line: number;
  readonly test: string;
}

/** What declares a test in `node:test`; `describe` and `suite` only hold some. */
const declaring = new Set(['test', 'it']);

interface Module {
  readonly file: ts.SourceFile;
  /** Functions and methods by name. */
  readonly functions: ReadonlyMap<string, readonly ts.Node[]>;
  /** Modules of the checkout that it imports from. */
  readonly imports: readonly Module[];
}

/** Tests of a file that reach no assertion. `read` gives the text of a path; undefined where there is none. */
export function testsWithoutAssertion(path: string, read: (path: string) => string | undefined): Finding[] {
  const module = moduleOf(path, read, new Map());
  const findings: Finding[] = [];
  const visit = (node: ts.Node): void => {
    const body = testBody(node);
    if (body && !asserts(body, module, new Set())) {
      const { line } = module.file.getLineAndCharacterOfPosition(node.getStart(module.file));
      findings.push({ line: line + 1, test: node.getText(module.file).split('\n', 1)[0] ?? '' });
    }
    ts.forEachChild(node, visit);
  };
  visit(module.file);
  return findings;
}

/** The last argument of `test(…)`, where it is one. */
function testBody(node: ts.Node): ts.Node | undefined {
  if (!ts.isCallExpression(node) || node.arguments.length < 2) return undefined;
  const { expression } = node;
  const called = ts.isPropertyAccessExpression(expression) ? expression.name : expression;
  // `pattern.test(text)` has one argument.
  return ts.isIdentifier(called) && declaring.has(called.text) ? node.arguments.at(-1) : undefined;
}

/** `seen`: what has been looked into on the way. */
function asserts(body: ts.Node, module: Module, seen: Set<ts.Node>): boolean {
  if (seen.has(body)) return false;
  seen.add(body);
  const visit = (node: ts.Node): boolean => {
    if (ts.isCallExpression(node) && isAssertion(node.expression)) return true;
    // A test inside of this one answers for itself.
    if (node !== body && testBody(node)) return false;
    if (ts.isIdentifier(node) && namedAsserts(node.text, module, seen)) return true;
    return ts.forEachChild(node, (child) => visit(child) || undefined) ?? false;
  };
  return visit(body);
}

/** `assert(…)`, `assert.equal(…)`, `fc.assert(…)` */
function isAssertion(called: ts.Expression): boolean {
  if (ts.isIdentifier(called)) return called.text === 'assert';
  if (!ts.isPropertyAccessExpression(called)) return false;
  return called.name.text === 'assert' || isAssertion(called.expression);
}

function namedAsserts(name: string, module: Module, seen: Set<ts.Node>): boolean {
  return [module, ...module.imports].some((where) =>
    (where.functions.get(name) ?? []).some((body) => asserts(body, where, seen)),
  );
}

function moduleOf(path: string, read: (path: string) => string | undefined, known: Map<string, Module>): Module {
  const before = known.get(path);
  if (before) return before;
  const file = ts.createSourceFile(path, read(path) ?? '', ts.ScriptTarget.Latest, true);
  const [functions, imports] = [new Map<string, ts.Node[]>(), [] as Module[]];
  const module: Module = { file, functions, imports };
  known.set(path, module);
  const visit = (node: ts.Node): void => {
    const named = namedFunction(node);
    if (named) functions.set(named.name, [...(functions.get(named.name) ?? []), named.body]);
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const from = node.moduleSpecifier.text;
      const imported = join(dirname(path), from);
      // What is tested asserts nothing about itself.
      if (from.startsWith('.') && /(^|\/)test\/|\.test\.ts$/.test(imported))
        imports.push(moduleOf(imported, read, known));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return module;
}

function namedFunction(node: ts.Node): { readonly name: string; readonly body: ts.Node } | undefined {
  if ((ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) && node.name && node.body)
    return { name: node.name.getText(), body: node.body };
  if (!(ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node)) || !ts.isIdentifier(node.name))
    return undefined;
  const { initializer } = node;
  return initializer && (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer))
    ? { name: node.name.text, body: initializer }
    : undefined;
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const read = (path: string): string | undefined => {
    const real = join(root, path);
    return existsSync(real) ? readFileSync(real, 'utf8') : undefined;
  };
  let seen = 0;
  for await (const path of glob('{src,test,tools,bench,packaging}/**/*.test.ts', { cwd: root })) {
    seen += 1;
    for (const { line, test } of testsWithoutAssertion(path, read)) {
      console.error(`${path}:${line}: asserts nothing: ${test}`);
      process.exitCode = 1;
    }
  }
  if (seen === 0) {
    console.error('no file of tests was seen');
    process.exitCode = 1;
  } else if (process.exitCode !== 1) {
    console.log(`${seen} files of tests, each test asserts`);
  }
}
