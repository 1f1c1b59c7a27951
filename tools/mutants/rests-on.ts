/**
 * What a verdict rests on: the source, the tests that reach it, and what those read from beside the code: helpers in `test/`
 * and data. Not the other sources between the two: a change there changes no verdict but by chance, and would make all of
 * them old.
 */
import { createHash } from 'node:crypto';
import { glob, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** Of a source or a test file with its helpers and data. A file that is gone has a digest too. */
export async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for (const one of await withHelpers(file))
    hash
      .update(one)
      .update('\0')
      .update(await readFile(join(root, one)).catch(() => ''))
      .update('\0');
  return hash.digest('hex');
}

/** Of what was found out about a source, from the digests of its own text and of each test that reaches it. */
export function digestOfVerdict(digests: readonly string[]): string {
  return createHash('sha256').update(digests.join('\n')).digest('hex').slice(0, 16);
}

/** The file, and for a test what its literals name in `test/`, or what is no code, and so on from there. */
async function withHelpers(file: string): Promise<string[]> {
  const found = new Set([file]);
  for (const one of found) {
    if (!one.endsWith('.test.ts') && !one.startsWith('test/')) continue;
    const text = await readFile(join(root, one), 'utf8').catch(() => '');
    for (const [, named = ''] of text.matchAll(/'([\w.][\w./-]*)'/g))
      for (const other of await filesBelow(relative(root, join(root, dirname(one), named))))
        if (other.startsWith('test/') || !other.endsWith('.ts')) found.add(other);
  }
  return [...found].sort();
}

/** A file itself; what is in a folder below `src/` or `examples/`; nothing of what is not there. */
async function filesBelow(path: string): Promise<string[]> {
  const what = await stat(join(root, path)).catch(() => undefined);
  if (what?.isFile()) return [path];
  if (!what?.isDirectory() || !/^(?:src|examples)\/./.test(path)) return [];
  const files: string[] = [];
  for await (const entry of glob('**/*', { cwd: join(root, path), withFileTypes: true }))
    if (entry.isFile()) files.push(relative(root, join(entry.parentPath, entry.name)));
  return files;
}
