/**
 * docs/reference/api.md from src/index.ts: every exported name with its signature and its doc comment, read where it is
 * declared. By syntax alone, so that it is quick: what a signature does not say in words is not shown.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as ts from 'typescript';

export interface ApiEntry {
  readonly name: string;
  /** `documents`, `plans`: the heading it stands below in src/index.ts. */
  readonly section: string;
  /** Without bodies and values. */
  readonly signature: string;
  /** '' when there is none. */
  readonly comment: string;
}

const root = join(import.meta.dirname, '..');

/** In the order of src/index.ts. */
export function apiEntries(): ApiEntry[] {
  const file = join(root, 'src', 'index.ts');
  const source = parse(file);
  return source.statements.flatMap((statement) => {
    const section = sectionAt(source, statement);
    return exportedNames(statement).map(({ name, from, local }) => {
      const found = declarations(from === undefined ? file : join(dirname(file), from), local);
      const [first] = found;
      if (!first) throw new Error(`src/index.ts exports ${name}, which is not declared in ${from}`);
      return { name, section, signature: found.map(signatureOf).join('\n'), comment: commentOf(first) };
    });
  });
}

export function apiPage(): string {
  const entries = apiEntries();
  const sections = [...new Set(entries.map(({ section }) => section))];
  const parts = sections.flatMap((section) => [
    `## ${section.charAt(0).toUpperCase()}${section.slice(1)}`,
    ...entries.filter((entry) => entry.section === section).map(entryText),
  ]);
  return [commentText(parse(join(root, 'src', 'index.ts')).getFullText()), ...parts].join('\n\n');
}

function entryText({ name, signature, comment }: ApiEntry): string {
  return [`### ${name}`, ...(comment === '' ? [] : [comment]), `\`\`\`ts\n${signature}\n\`\`\``].join('\n\n');
}

interface Exported {
  readonly name: string;
  readonly local: string;
  readonly from: string | undefined;
}

function exportedNames(statement: ts.Statement): Exported[] {
  if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)) {
    const { moduleSpecifier } = statement;
    const from = moduleSpecifier && ts.isStringLiteral(moduleSpecifier) ? moduleSpecifier.text : undefined;
    return statement.exportClause.elements.map((element) => ({
      name: element.name.text,
      local: (element.propertyName ?? element.name).text,
      from,
    }));
  }
  const name = declaredName(statement);
  const exported = ts.canHaveModifiers(statement)
    ? ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
    : false;
  return name === undefined || exported !== true ? [] : [{ name, local: name, from: undefined }];
}

/** The statements of a file that declare a name; of an overloaded function its overloads alone. */
function declarations(file: string, name: string): ts.Statement[] {
  const found = parse(file).statements.filter((statement) => declaredName(statement) === name);
  const overloads = found.filter((one) => ts.isFunctionDeclaration(one) && one.body === undefined);
  return overloads.length > 0 ? overloads : found;
}

function declaredName(statement: ts.Statement): string | undefined {
  if (ts.isVariableStatement(statement)) {
    const [declaration] = statement.declarationList.declarations;
    return declaration && ts.isIdentifier(declaration.name) ? declaration.name.text : undefined;
  }
  const named =
    ts.isFunctionDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isClassDeclaration(statement);
  return named ? statement.name?.text : undefined;
}

function signatureOf(statement: ts.Statement): string {
  const source = statement.getSourceFile();
  const text = (from: number, to: number): string => source.text.slice(from, to).trim();
  const start = statement.getStart();
  if (ts.isFunctionDeclaration(statement)) return text(start, statement.body?.getStart() ?? statement.end);
  if (ts.isVariableStatement(statement)) {
    const [declaration] = statement.declarationList.declarations;
    return text(start, declaration?.type?.end ?? declaration?.name.end ?? statement.end);
  }
  if (!ts.isClassDeclaration(statement)) return text(start, statement.end);
  const members = statement.members.map((member) => {
    const body = 'body' in member ? (member.body as ts.Node | undefined) : undefined;
    return `  ${text(member.getStart(), body?.getStart() ?? member.end)}`;
  });
  return [text(start, statement.members.pos), ...members, '}'].join('\n');
}

function commentOf(statement: ts.Statement): string {
  const source = statement.getSourceFile();
  const [last] = (ts.getLeadingCommentRanges(source.text, statement.pos) ?? []).slice(-1);
  if (!last) return '';
  const comment = source.text.slice(last.pos, last.end);
  // One that a blank line parts from the declaration is the file's.
  const apart = /\n\s*\n/.test(source.text.slice(last.end, statement.getStart()));
  return comment.startsWith('/**') && !apart ? commentText(comment) : '';
}

/** The first doc comment of a text, without its stars. */
function commentText(text: string): string {
  const [, inside = ''] = /\/\*\*([^]*?)\*\//.exec(text) ?? [];
  return inside
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
    .join('\n')
    .trim();
}

/** `// ── plans ──…` is the last such line before it. */
function sectionAt(source: ts.SourceFile, statement: ts.Statement): string {
  const before = source.text.slice(0, statement.getStart());
  return [...before.matchAll(/^\/\/ ── (.+?) ─+$/gm)].at(-1)?.[1] ?? '';
}

const parsed = new Map<string, ts.SourceFile>();

function parse(file: string): ts.SourceFile {
  const known = parsed.get(file);
  if (known) return known;
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ESNext, true);
  parsed.set(file, source);
  return source;
}
