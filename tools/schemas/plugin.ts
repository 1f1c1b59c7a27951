/**
 * Bundles whose schemas are the plain functions of `write.ts`. The originals stay for who makes JSON Schemas of them: that
 * module, and what it imports, gets copies of its own, and with them zod.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { builders, writeSchemas } from './write.ts';

const root = join(import.meta.dirname, '..', '..');
const makesJsonSchemas = join(root, 'src/config/json-schema.ts');
/** Leads there from the originals to the originals. */
const between = ['src/config/kinds.ts', builders];

export const plainSchemas: Plugin = {
  name: 'plain-schemas',
  async setup(build) {
    const modules = await writeSchemas();
    const texts = new Map(modules.map(({ file, text }) => [join(root, file), text]));
    const originals = new Set([...texts.keys(), ...between.map((file) => join(root, file))]);
    build.onResolve({ filter: /^\./ }, ({ path: asked, resolveDir, namespace, importer }) => {
      if (namespace !== 'original' && importer !== makesJsonSchemas) return undefined;
      const path = join(resolveDir, asked);
      return originals.has(path) ? { path, namespace: 'original' } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'original' }, async ({ path }) => ({
      contents: await readFile(path, 'utf8'),
      loader: 'ts',
      resolveDir: dirname(path),
    }));
    build.onLoad({ filter: /\/schema[^/]*\.ts$/ }, ({ path }) => {
      const contents = texts.get(path);
      return contents === undefined ? undefined : { contents, loader: 'js', resolveDir: dirname(path) };
    });
  },
};
