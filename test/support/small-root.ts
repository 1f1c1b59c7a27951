/** A root folder with a shell and a few programs of this machine, for tests that run something in it. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What a program of this machine needs beside itself, as the loader tells it. */
export function librariesOf(program: string): string[] {
  return execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+(?= \(0x)/g) ?? [];
}

/** A Debian by name, with `sh` and these programs in /usr/bin. */
export function smallRoot(below: string, programs: readonly string[] = []): string {
  const root = mkdtempSync(join(below, 'root-'));
  for (const path of ['etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'usr/bin', 'var/lib/dpkg'])
    mkdirSync(join(root, path), { recursive: true });
  symlinkSync('usr/bin', join(root, 'bin'));
  writeFileSync(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="13"\n');
  writeFileSync(join(root, 'var/lib/dpkg/status'), '');
  for (const program of ['/bin/sh', ...programs]) {
    copyFileSync(program, join(root, 'usr/bin', basename(program)));
    withLibraries(root, program);
  }
  return root;
}

/** Puts what the program needs into the root. */
export function withLibraries(root: string, program: string): void {
  for (const library of librariesOf(program)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
}

/** A shell script as a program of the root. */
export function script(root: string, name: string, text: string): void {
  writeFileSync(join(root, 'usr/bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}
