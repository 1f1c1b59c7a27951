/**
 * What documents say in secret is in its place, in our own state for root alone, and nowhere else: the documents hold one in
 * every field that may have one; they are planned and applied, and everything goes wrong that they touch. Then all that is
 * said, kept or shown of it is looked through.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { createMemoryNode, nodeDocument, textFile } from '../test/support/memory-node.ts';
import {
  elsewhere,
  filesOrigin,
  marker,
  mirrorOrigin,
  probeOrigin,
  registryOrigin,
  secretOsc,
  secretSpec,
  traces,
} from '../test/support/secret-documents.ts';
import { lookAtJournal } from './apply/journal.ts';
import { bootHost } from './boot/boot.ts';
import { bootSentence } from './cli/boot.ts';
import { errorFrom } from './cli/error-from.ts';
import { envelopeLine, formatError, formatWarnings } from './cli/output.ts';
import { planText } from './cli/plan-text.ts';
import { createProgress } from './cli/progress.ts';
import { statusText } from './cli/status.ts';
import { plainLook } from './cli/table.ts';
import { asNodekilnError, type NodekilnError } from './errors.ts';
import { SimulatedCrash } from './host/memory/effects.ts';
import type { Endpoint, MemoryMachine } from './host/memory/machine.ts';
import type { Exec, ExecOptions } from './host/port.ts';
import { plan } from './index.ts';
import { parseBootResult } from './inspect/boot-result.ts';
import { status } from './inspect/status.ts';
import { timelineSvg } from './inspect/timeline-svg.ts';
import { timelineTable } from './inspect/timeline-table.ts';
import { timelineTrace } from './inspect/timeline-trace.ts';
import { timeline } from './inspect/timeline.ts';
import { textOf } from './model/bytes.ts';
import { bootResultPath } from './model/state-paths.ts';
import { measureBoot } from './telemetry/boot-metrics.ts';
import type { StepEvent } from './telemetry/events.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { measureSteps } from './telemetry/step-metrics.ts';

const documentPath = '/etc/nodekiln/conf.d/10-node.json';
const nodeConfig = nodeDocument(secretSpec);
const osc = JSON.stringify(secretOsc);
const everything = (value: unknown): string =>
  inspect(value, { depth: Infinity, maxStringLength: Infinity, maxArrayLength: Infinity, showHidden: true });

interface Run {
  readonly machine: MemoryMachine;
  /** What is said while it runs and at its end, by outlet. */
  readonly said: Record<string, string>;
  /** Of every program that was started. */
  readonly started: { readonly argv: readonly string[]; readonly options: ExecOptions }[];
}

async function boot(run: Run, crashAt?: number): Promise<string> {
  const { machine, said, started } = run;
  const host = machine.open(crashAt === undefined ? {} : { crash: { at: crashAt, when: 'after' } });
  const exec: Exec = {
    run: (argv, options) => {
      started.push({ argv, options });
      return host.exec.run(argv, options);
    },
  };
  const say = (outlet: string, text: string): void => void (said[outlet] = `${said[outlet] ?? ''}${text}\n`);
  const progress = createProgress(
    { write: (text) => say('progress', text) },
    { quiet: false, nowMs: () => machine.clock.monotonic() },
  );
  const metrics = createMetrics();
  const measure = measureSteps(metrics);
  const onEvent = (event: StepEvent): void => {
    say('events', everything(event));
    measure(event);
    progress.onEvent(event);
  };
  const sayError = (error: NodekilnError): void => {
    say('errors as text', formatError(error));
    say('errors as JSON', envelopeLine('BootResult', undefined, error));
  };
  try {
    const result = await bootHost({ ...host, exec, localExec: exec }, { onEvent });
    say('result as JSON', envelopeLine('BootResult', result));
    say('result as text', [formatWarnings(result.warnings), bootSentence(result)].join('\n'));
    for (const error of [result.error, ...result.steps.map((step) => step.error)].flatMap(
      (one) => errorFrom(one) ?? [],
    ))
      sayError(error);
    await measureBoot(host.files, metrics);
    return result.outcome;
  } catch (thrown) {
    if (thrown instanceof SimulatedCrash) return 'killed';
    say('errors with all in them', everything(thrown));
    sayError(asNodekilnError(thrown));
    return asNodekilnError(thrown).code;
  } finally {
    say('metrics', metrics.exposition());
  }
}

/** What can be looked at afterwards. */
async function lookedAt({ machine, started }: Run): Promise<Record<string, string>> {
  const host = machine.open();
  const journal = await lookAtJournal(host);
  const found = await status(host, journal);
  journal?.close();
  const published = textOf(await host.files.read(bootResultPath));
  const time = published === undefined ? undefined : timeline(parseBootResult(published, bootResultPath));
  const readable: string[] = [];
  for (const path of Object.keys(machine.snapshot())) {
    const stat = await machine.files.stat(path);
    if (stat?.type === 'file' && (stat.mode & 0o077) !== 0) readable.push(textOf(await machine.files.read(path)) ?? '');
  }
  return {
    'status as text': statusText(found, plainLook),
    'status as JSON': envelopeLine('Status', found),
    // Root gives it to others with `timeline --file`.
    'records of boots': Object.entries(machine.snapshot())
      .filter(([path]) => path.startsWith('/var/lib/nodekiln/boot/'))
      .join('\n'),
    ...(time && {
      'timeline as text': timelineTable(time, { width: 200 }),
      'timeline as JSON': JSON.stringify(time),
      'timeline as a picture': timelineSvg(time),
      'timeline as a trace': JSON.stringify(timelineTrace(time)),
    }),
    'files that others may read': readable.join('\n'),
    'names of files, and links': Object.entries(machine.snapshot())
      .map(([path, entry]) => (entry.startsWith('symlink') ? `${path} ${entry}` : path))
      .join('\n'),
    'effects, with arguments of programs': machine.effects.join('\n'),
    'environment and input of programs': started
      .filter(({ argv }) => argv[0] !== 'tell')
      .map(({ options: { env, input } }) => JSON.stringify([env, input]))
      .join('\n'),
  };
}

async function planned(text: string): Promise<Record<string, string>> {
  const report = await plan({ documents: [{ file: documentPath, text }] });
  return { 'plan as text': planText(report), 'plan as JSON': JSON.stringify(report) };
}

function assertUnseen(outlets: Readonly<Record<string, string>>): void {
  for (const [outlet, text] of Object.entries(outlets))
    for (const trace of traces) {
      const at = text.indexOf(trace);
      assert.ok(at < 0, `${outlet}: …${text.slice(Math.max(0, at - 200), at + 60)}…`);
    }
}

interface Trouble {
  /** Before the first boot. */
  readonly prepare?: (machine: MemoryMachine) => unknown;
  /** What comes of it; any, if absent. */
  readonly outcome?: string;
  /** What must have been said of it, so that there was something to look through. */
  readonly said?: RegExp;
}

const serveAll = (machine: MemoryMachine, endpoint: Endpoint): void => {
  for (const origin of [filesOrigin, registryOrigin, mirrorOrigin, 'https://apt.example', 'https://dnf.example'])
    machine.serve(origin, endpoint);
};
const challenge = { 'www-authenticate': `Bearer realm="${elsewhere}",service="a",scope="b"` };

/** Says all that it was given, as programs do that fail. */
const tell = (machine: MemoryMachine, how: { status?: number; durationMs?: number }): void =>
  machine.program('tell', ({ options: { env = {} } }) => {
    const text = [
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      `cannot GET ${elsewhere}`,
      `(${elsewhere}).`,
    ];
    return { ...how, stdout: text.join('\n'), stderr: text.join('\n') };
  });

const troubles: Readonly<Record<string, Trouble>> = {
  'nobody serves anything': { said: /connection refused/ },
  'all is served': {
    prepare: async (machine) => {
      serveAll(machine, () => ({ body: '#!/bin/sh\nexit 0\n' }));
      machine.serve(probeOrigin, () => ({ body: 'ok' }));
      machine.program('tell', async ({ files }) => {
        await files.write([textFile('/done', '')]);
        return { stdout: marker };
      });
    },
    said: /done +activate binary:custom/,
  },
  ...Object.fromEntries(
    (
      [
        ['a login is wanted', { status: 401, headers: challenge }],
        ['nothing is given', { status: 403, reason: `no ${elsewhere}`, body: elsewhere }],
        ['nothing is there', { status: 404, body: elsewhere }],
        ['servers fail', { status: 500, headers: { 'retry-after': '1' }, body: elsewhere }],
        ['servers lead elsewhere', { status: 302, headers: { location: elsewhere } }],
        ['servers lead to plain HTTP', { status: 307, headers: { location: elsewhere.replace('https:', 'http:') } }],
        ['servers lead to what is no address', { status: 302, headers: { location: `ftp://user:${marker}@a` } }],
        ['servers answer pages', { body: `<!DOCTYPE html><a href="${elsewhere}">` }],
      ] as const
    ).map(
      ([name, answer]) =>
        [
          name,
          { prepare: (machine) => serveAll(machine, () => answer), said: /failed +/ },
        ] as const satisfies readonly [string, Trouble],
    ),
  ),
  'the command fails': { prepare: (machine) => tell(machine, { status: 3 }), said: /tell ended with exit status 3/ },
  'the command does nothing': { prepare: (machine) => tell(machine, {}), said: /its guard still says/ },
  'the command does not end': {
    prepare: (machine) => tell(machine, { durationMs: 60_000 }),
    said: /did not end within/,
  },
  'units fail': {
    prepare: ({ units }) => {
      for (const name of ['secret.service', 'open.service'])
        units.behave(name, { start: 'fail', log: [`cannot GET ${elsewhere}`, name === 'open.service' ? '' : marker] });
    },
    said: /open\.service.*https:\/\/elsewhere\.example\/a\?…#…/s,
  },
  'a unit is never ready': {
    prepare: (machine) => machine.serve(probeOrigin, () => ({ status: 500, reason: marker, body: marker })),
    said: /127\.0\.0\.1:8080\/healthz\?…#… answers 500/,
  },
  'nothing can be written to the disk': {
    prepare: (machine) => {
      for (const path of ['/etc/secret', '/etc/secret.bin', '/etc/systemd/system/secret.service'])
        machine.breakEffect(`write ${path}`, Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' }));
    },
    said: /EIO/,
  },
};

for (const [kind, document] of [
  ['a NodeConfig', nodeConfig],
  ['an OperatingSystemConfig', osc],
] as const)
  describe(`what ${kind} says in secret`, () => {
    it('is not in its plan', async () => assertUnseen(await planned(document)));

    for (const [what, { prepare, said: wanted }] of Object.entries(troubles))
      it(`is in nothing that is said or kept where ${what}`, async () => {
        const machine = await createMemoryNode({ '10-node.json': document });
        const run: Run = { machine, said: {}, started: [] };
        await prepare?.(machine);
        for (const round of [1, 2]) {
          const outcome = await boot(run);
          assertUnseen({ ...run.said, ...(await lookedAt(run)) });
          if (round === 1 && kind === 'a NodeConfig') assert.match(everything(run.said), wanted ?? /./, outcome);
        }
        // And when all of it goes again.
        await machine.files.write([textFile(documentPath, nodeDocument())]);
        await boot(run);
        assertUnseen({ ...run.said, ...(await lookedAt(run)) });
      });

    it('is in nothing that a killed run leaves, nor the next one says', async () => {
      for (let crashAt = 1; ; crashAt += 7) {
        const machine = await createMemoryNode({ '10-node.json': document });
        const run: Run = { machine, said: {}, started: [] };
        if ((await boot(run, crashAt)) !== 'killed') break;
        assertUnseen({ ...run.said, ...(await lookedAt(run)) });
        await boot(run);
        assertUnseen({ ...run.said, ...(await lookedAt(run)) });
      }
    });
  });

it('what is said in secret is where it belongs and in our own state, for root alone', async () => {
  const machine = await createMemoryNode({ '10-node.json': nodeConfig });
  await troubles['all is served']?.prepare?.(machine);
  const run: Run = { machine, said: {}, started: [] };
  assert.equal(await boot(run), 'degraded');
  const held = Object.entries(machine.snapshot()).filter(([, entry]) => traces.some((trace) => entry.includes(trace)));
  for (const [path, entry] of held) assert.match(entry, /^file 0600 0:0 /, path);
  assert.deepEqual(
    held.map(([path]) => path),
    [
      '/etc/containerd/certs.d/docker.io/hosts.toml',
      '/etc/containerd/config.toml',
      documentPath,
      '/etc/secret',
      '/etc/secret.bin',
      '/etc/systemd/system/containerd.service.d/50-nodekiln.conf',
      '/etc/systemd/system/kubelet.service.d/50-nodekiln.conf',
      '/etc/systemd/system/secret.service',
      '/etc/systemd/system/secret.service.d/10-a.conf',
      '/var/lib/nodekiln/generations/1.json',
      '/var/lib/nodekiln/state.db',
    ],
  );
  const [told] = run.started.filter(({ argv }) => argv[0] === 'tell');
  assert.equal(told?.options.env?.['TOKEN'], marker, 'its program has it');
});
