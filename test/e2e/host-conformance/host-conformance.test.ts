/** The Linux host inside real hosts, of the oldest and the newest systemd the lab has: the expectations, and faults. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Lab, LabHost } from '../../lab/lab.ts';
import { openLab } from '../../lab/lab.ts';
import type { Suite } from '../../lab/root.ts';
import { rootFolder } from '../../lab/root.ts';
import { buildNative, wanted as isNative } from '../../native/native.ts';

interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: string;
}

const suites: readonly Suite[] = ['bookworm', 'trixie'];
const bundle = '/opt/nkt/program.cjs';
const node = '/opt/nkt/node';
/** The host program that carries the same checks. */
const native = '/opt/nkt/program';
const program = isNative ? [native] : [node, bundle];

async function nativeProgram(): Promise<Buffer> {
  const folder = await mkdtemp('/var/tmp/nodekiln-conformance-');
  try {
    buildNative('in-host.ts', join(folder, 'program'));
    return await readFile(join(folder, 'program'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function bundled(): Promise<Buffer> {
  const folder = await mkdtemp('/var/tmp/nodekiln-conformance-');
  const outfile = join(folder, 'program.cjs');
  try {
    await build({
      entryPoints: [fileURLToPath(new URL('program.ts', import.meta.url))],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile,
      logLevel: 'warning',
    });
    return await readFile(outfile);
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const suite of suites) {
  describe(`the Linux host on ${suite}`, () => {
    let lab: Lab | undefined;
    let host: LabHost;

    before(async () => {
      lab = await openLab();
      host = await lab.host({ name: `conformance-${suite}`, root: await rootFolder(suite) });
      await host.start();
      await host.waitRunning();
      if (isNative) return host.writeFile(native, await nativeProgram(), { mode: 0o755 });
      await host.writeFile(node, await readFile(process.execPath), { mode: 0o755 });
      await host.writeFile(bundle, await bundled());
    });
    after(() => lab?.close());

    /**
     * As a service of the guest, as nodekiln itself runs there, and read from its file: entering the guest no longer
     * works once its systemd has executed itself anew and tidied its control groups.
     */
    async function outcomes(name: string, argv: readonly string[]): Promise<readonly Outcome[]> {
      const out = `/opt/nkt/${name}.out`;
      const lines = ['Type=exec', `ExecStart=${argv.join(' ')}`, `StandardOutput=file:${out}`, 'TimeoutStartSec=30'];
      await host.writeFile(`/etc/systemd/system/${name}.service`, `[Service]\n${lines.join('\n')}\n`);
      await host.check(['systemctl', 'daemon-reload']);
      await host.check(['systemctl', 'start', name]);
      for (let waited = 0; waited < 120_000; waited += 200) {
        const text = await host.readFile(out).catch(() => '');
        const found = text.split('\n').filter((line) => line !== '');
        if (found.at(-1) === 'end') return found.slice(0, -1).map((line): Outcome => JSON.parse(line));
        await sleep(200);
      }
      const said = await host.readFile(out).catch(() => '');
      throw new Error(`${name} did not end:\n${said}\n${await host.console()}`);
    }

    async function allWell(name: string, argv: readonly string[], atLeast: number): Promise<void> {
      const found = await outcomes(name, argv);
      const failures = found.filter(({ ok }) => !ok).map(({ name, error }) => `${name}\n${error}`);
      assert.equal(failures.length, 0, failures.join('\n\n'));
      assert.ok(found.length >= atLeast, `only ${found.length} checks ran`);
    }

    test('expectations over the private socket', () =>
      allWell('expectations-private', [...program, 'expectations', 'private'], 35));
    test('expectations over the bus', () => allWell('expectations-bus', [...program, 'expectations', 'bus'], 35));
    test('without root rights', () =>
      allWell('unprivileged', ['setpriv --reuid=65534 --regid=65534 --clear-groups', ...program, 'unprivileged'], 3));
    // They stand on servers that the host program does not have.
    test('faults', { skip: isNative }, () => allWell('faults', [node, bundle, 'faults'], 15));
  });
}
