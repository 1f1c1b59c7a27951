/** Programs of a root are started by the sandbox alone, and docs/programs-of-a-root.md names those that are. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

/** Those of this machine: our own helper, the port, and containerd with its root's sandbox. */
const startProcesses = ['host/linux/archives/decompress.ts', 'host/linux/containers.ts', 'host/linux/exec.ts'];
const changeRoots = ['host/linux/sandbox/launcher.ts', 'host/linux/sandbox/sandbox.ts'];

const sources = join(import.meta.dirname, '../../..');
const files = readdirSync(sources, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name, text: readFileSync(join(sources, name), 'utf8') }));
const those = (pattern: RegExp): string[] =>
  files
    .filter(({ text }) => pattern.test(text))
    .map(({ name }) => name)
    .sort();

describe('programs of a root', () => {
  it('are started in one place: nowhere else is a process made, or a root changed', () => {
    assert.deepEqual(those(/from 'node:child_process'/), startProcesses);
    assert.deepEqual(those(/['"`\s](?:chroot|pivot_root|--root=\$|nsenter|systemd-nspawn)['"`,\s]/), changeRoots);
  });

  it('are named in the documentation, each with its sandbox', () => {
    const page = readFileSync(join(sources, '../docs/programs-of-a-root.md'), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| program'));
    for (const program of ['apt-get', 'dnf', 'rpm', 'apt-cache', 'containerd', 'ctr'])
      assert.ok(
        rows.some((row) => row.includes(`\`${program}`)),
        program,
      );
    for (const row of rows) assert.match(row, /\| (?:reader|installer|importer) \|$/);
  });
});
