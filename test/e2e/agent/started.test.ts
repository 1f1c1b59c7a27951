/**
 * What counts as a service that runs, on a real systemd: one that ends, however and with whatever type, right after its start is
 * a failure, of which the exit status, `nodekiln status` and the report tell; the next run starts it again.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sampleIn, sampleOf, sampleSeed } from '../../support/sample.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import type { RunResult } from '../../lab/run.ts';
import { bootedHost, documentWith, program } from './agent-host.ts';

const folder = '/etc/nodekiln/started';

const loop = ['Restart=always', 'RestartSec=100ms'];
/** Of the runs that failed, while others are being started: their exit, and their words below it. */
const loops: readonly (readonly [name: string, service: readonly string[], said: RegExp])[] = [
  ['loop', [...loop, 'ExecStart=/bin/false'], /restarts in a loop \(.*exit status 1\)/],
  [
    'loop-words',
    [...loop, "ExecStart=/bin/sh -c 'echo it begins; sleep 0.1; echo the cause >&2; exit 42'"],
    /restarts in a loop \(.*exit status 42\)[^]*the cause/,
  ],
  [
    'loop-at-once',
    [...loop, 'RestartSec=0', "ExecStart=/bin/sh -c 'echo the cause; exit 5'"],
    /(?:restarts in a loop|failed)[^]*exit status 5[^]*the cause/,
  ],
  [
    'loop-late',
    [...loop, "ExecStart=/bin/sh -c 'sleep 0.3; echo the cause; exit 7'"],
    /restarts in a loop \(.*exit status 7\)[^]*the cause/,
  ],
  [
    'loop-signal',
    [...loop, "ExecStart=/bin/sh -c 'echo the cause; kill -SEGV $$$$'"],
    /in a loop \(.*SIGSEGV[^]*the cause/,
  ],
  ['loop-no-program', [...loop, 'ExecStart=/no/such/program'], /restarts in a loop \(.*exit status 203/],
  [
    'loop-notify',
    [...loop, 'Type=notify', "ExecStart=/bin/sh -c 'echo the cause; exit 9'"],
    /exit status 9[^]*the cause/,
  ],
];

/** The lines of `[Service]`, and what is said of a service that does not run. */
const services: readonly (readonly [name: string, service: readonly string[], said?: RegExp])[] = [
  ['false', ['ExecStart=/bin/false'], /exit status 1/],
  ['exec', ['Type=exec', "ExecStart=/bin/sh -c 'sleep 0.2; exit 3'"], /exit status 3/],
  ['signal', ["ExecStart=/bin/sh -c 'kill -SEGV $$$$'"], /SIGSEGV/],
  ['no-program', ['ExecStart=/no/such/program'], /exit status 203/],
  ['no-user', ['User=nobody-of-this-name', 'ExecStart=/bin/sleep infinity'], /exit status 217/],
  ...loops,
  ['later', ['Restart=always', 'RestartSec=60', 'ExecStart=/bin/false'], /does not stay active: .*auto-restart/],
  ['true', ['ExecStart=/bin/true'], /ended by itself/],
  ['forking', ['Type=forking', "ExecStart=/bin/sh -c '(sleep 0.1; exit 4) &'"], /failed|ended by itself/],
  ['runs', ['ExecStart=/bin/sleep infinity']],
  ['runs-exec', ['Type=exec', 'ExecStart=/bin/sleep infinity']],
  ['is-done', ['Type=oneshot', 'ExecStart=/bin/true']],
  ['stays', ['Type=oneshot', 'RemainAfterExit=yes', 'ExecStart=/bin/true']],
];

for (const suite of ['bookworm', 'trixie'] as const)
  describe(`a service that was started, with the systemd of ${suite}`, { concurrency: 1 }, () => {
    let lab: Lab;
    let host: LabHost;
    before(async () => {
      lab = await openLab();
      host = await bootedHost(lab, `started-${suite}`, { suite });
      await host.check(['systemctl', 'enable', 'nodekiln-boot.service']);
    });
    after(() => lab?.close());

    /** One that is started again and again runs in between. */
    async function checked(fails: boolean): Promise<RunResult> {
      for (let look = 1; ; look += 1) {
        const status = await host.exec([program, 'status', '--check']);
        if (!fails || status.status !== 0 || look === 20) return status;
      }
    }

    const chosen = sampleOf(services, { count: sampleIn(import.meta.dirname).points, seed: sampleSeed });
    for (const [name, service, said] of chosen)
      test(`${name}: ${said ? 'is a failure' : 'is none'}`, { timeout: 180_000 }, async () => {
        const content = ['[Service]', ...service].map((line) => `        ${line}\n`).join('');
        const units = `    - name: ${name}.service\n      content: |\n${content}      state: started\n      importance: required\n`;
        await host.writeFile(`${folder}/10-node.yaml`, await documentWith({ units }), { mode: 0o600 });
        const run = await host.exec([program, 'agent', '--source', `dir:${folder}`, '--once']);
        const status = await checked(said !== undefined);
        if (said === undefined) {
          assert.equal(run.status, 0, run.stdout + run.stderr);
          assert.match(run.stdout, /^done .*\n(?:.*\n)*converged in /m, 'the log holds its steps');
          assert.equal(run.stderr, '');
          assert.equal(status.status, 0, status.stdout);
          const again = await host.exec([program, 'agent', '--source', `dir:${folder}`, '--once']);
          assert.match(again.stdout + again.stderr, /nothing to do/);
          return;
        }
        assert.notEqual(run.status, 0, run.stdout);
        assert.match(run.stdout + run.stderr, /NK_UNIT_FAILED/);
        assert.match(run.stdout + run.stderr, said);
        // Between two of its runs a service that loops is up for a moment.
        let seen = status;
        for (let looks = 0; seen.status === 0 && looks < 20; looks += 1)
          seen = await host.exec([program, 'status', '--check']);
        assert.notEqual(seen.status, 0, seen.stdout);
        assert.match(seen.stdout, /agent +failed/);
        const tries = async (): Promise<number> =>
          (await host.check(['journalctl', '-u', `${name}.service`, '-o', 'cat'])).split('\n').length;
        const before = await tries();
        await host.exec([program, 'agent', '--source', `dir:${folder}`, '--once']);
        assert.ok((await tries()) > before, 'the next run starts it again');
      });
  });
