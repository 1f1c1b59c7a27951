/**
 * Where no document puts a file, whatever the machine: the kernel's own file systems, in which nothing can be put in place
 * of something else, and what nodekiln keeps for itself. Pure.
 */
import { imageLockPath, stateFolder } from '../model/state-paths.ts';

const refused: readonly { readonly folder: string; readonly why: string }[] = [
  { folder: '/proc/sys', why: 'is a setting of the kernel: it goes into `kernel.sysctls`' },
  { folder: '/proc', why: 'is of the kernel: nothing can be put there' },
  { folder: '/sys/module', why: 'is of the kernel: modules go into `kernel.modules`' },
  { folder: '/sys', why: 'is of the kernel: nothing can be put there' },
  { folder: '/dev', why: 'is of the kernel: what is put there is gone with the next start' },
  { folder: stateFolder, why: 'is nodekiln’s own state' },
  { folder: '/opt/nodekiln/cache', why: 'is nodekiln’s own index of the cache' },
  { folder: imageLockPath, why: 'is nodekiln’s own record of the image' },
];

/** Why nothing of a document goes there; undefined where it may. */
export function whyRefused(path: string): string | undefined {
  const plain = path.replace(/\/+$/, '');
  return refused.find(({ folder }) => plain === folder || plain.startsWith(`${folder}/`))?.why;
}
