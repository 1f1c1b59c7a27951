/**
 * The program that lab hosts get, in one of its forms: the bundle and the Node.js that runs it, or, with `NODEKILN_HOST=native`, the
 * host program alone. Bakes and the desk's verbs run on Node.js here in any case.
 */
import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildBundle, nodeBinary } from '../../tools/build.ts';
import { buildHostProgram } from '../../tools/native.ts';

export const isNative = process.env['NODEKILN_HOST'] === 'native';
export const programPath = '/opt/nodekiln/bin/nodekiln';

/** Our program as hosts get it, by the names it has in a folder. Built when a source changed. */
export async function programParts(): Promise<Readonly<Record<string, string>>> {
  return isNative ? { nodekiln: await buildHostProgram() } : { node: nodeBinary, nodekiln: await buildBundle() };
}

/** Changes with the program of hosts. */
export async function programStamp(): Promise<string> {
  const bundle = await readFile(`${await buildBundle()}.stamp`, 'utf8');
  return isNative ? bundle + (await readFile(`${await buildHostProgram()}.stamp`, 'utf8')) : bundle;
}

/** The environment of a bake that brings it. */
export async function bakeEnvironment(): Promise<NodeJS.ProcessEnv> {
  return isNative ? { ...process.env, NODEKILN_HOST_PROGRAM: await buildHostProgram() } : process.env;
}

/** Puts it into a root that was not baked. */
export async function placeProgram(root: string): Promise<void> {
  const folder = dirname(join(root, programPath));
  await mkdir(folder, { recursive: true });
  for (const [name, path] of Object.entries(await programParts())) {
    await copyFile(path, join(folder, name));
    await chmod(join(folder, name), 0o755);
  }
}
