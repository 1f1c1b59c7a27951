/**
 * The program that lab hosts get, in one of its forms: the bundle and the Node.js that runs it, or, with `NODEKILN_HOST=native`, the
 * host program alone. Bakes and the desk's verbs run on Node.js here in any case.
 */
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildBundle, nodeBinary } from '../../tools/build.ts';
import { buildHostProgram } from '../../tools/native.ts';
import { run } from '../lab/run.ts';

export const isNative = process.env['NODEKILN_HOST'] === 'native';
export const programPath = '/opt/nodekiln/bin/nodekiln';
const lockPath = 'opt/nodekiln/image.lock.json';

/** Our program as hosts get it, by the names it has in a folder. Built when a source changed. */
export async function programParts(): Promise<Readonly<Record<string, string>>> {
  return isNative ? { nodekiln: await buildHostProgram() } : { node: nodeBinary, nodekiln: await buildBundle() };
}

/** Changes with the program of hosts. */
export async function programStamp(): Promise<string> {
  const bundle = await readFile(`${await buildBundle()}.stamp`, 'utf8');
  return isNative ? bundle + (await readFile(`${await buildHostProgram()}.stamp`, 'utf8')) : bundle;
}

/** Puts it into a root that has none. */
export async function placeProgram(root: string): Promise<void> {
  const folder = dirname(join(root, programPath));
  await mkdir(folder, { recursive: true });
  for (const [name, path] of Object.entries(await programParts())) {
    // Under another name first: the one there may run.
    await copyFile(path, join(folder, `.${name}`));
    await chmod(join(folder, `.${name}`), 0o755);
    await rename(join(folder, `.${name}`), join(folder, name));
  }
}

interface LockedBinary {
  readonly id: string;
  readonly prints?: { readonly line: string };
}

/** After a bake, which brings what runs it: the program of hosts instead, in the image's lock as well. */
export async function exchangeProgram(root: string): Promise<void> {
  if (!isNative) return;
  await placeProgram(root);
  const program = join(root, programPath);
  await rm(join(dirname(program), 'node'));
  const digest = `sha256:${createHash('sha256')
    .update(await readFile(program))
    .digest('hex')}`;
  const own = { version: digest, digest, size: (await stat(program)).size };
  const line = (await run([program, 'version'])).stdout.trim();
  const lock = JSON.parse(await readFile(join(root, lockPath), 'utf8')) as { binaries: LockedBinary[] };
  const binaries = lock.binaries
    .filter(({ id }) => id !== 'binary:nodekiln/node')
    .map((binary) =>
      binary.id === 'binary:nodekiln/nodekiln'
        ? { ...binary, ...own, ...(binary.prints && { prints: { ...binary.prints, line } }) }
        : binary,
    );
  await writeFile(join(root, lockPath), `${JSON.stringify({ ...lock, binaries }, undefined, 2)}\n`);
}
