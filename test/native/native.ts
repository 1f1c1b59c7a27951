/** The host program, built from an entry of TypeScript. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Whether `NODEKILN_HOST=native` asks tests of real hosts for it. */
export const wanted = process.env['NODEKILN_HOST'] === 'native';
const root = join(import.meta.dirname, '../..');

/** `entry`: a file of this folder. */
export function buildNative(entry: string, out: string): void {
  execFileSync(process.execPath, [join(root, 'tools/native.ts'), `test/native/${entry}`, out], {
    cwd: root,
    stdio: 'pipe',
  });
}
