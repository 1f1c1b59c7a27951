/**
 * The stages of the demo, in order. Each shows what it does and checks that it did; the first that did not is thrown as a
 * `StageFailure`, after everything was removed.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentReport } from '../../src/telemetry/agent-report.ts';
import { sha256 } from '../../src/host/digest.ts';
import { bakeReportKind } from './envelope.ts';
import { buildBundle } from '../../tools/build.ts';
import { cacheFolder } from '../lab/cache.ts';
import { openLab, type Lab, type LabHost } from '../lab/lab.ts';
import { witness } from '../lab/packages.ts';
import { installPrerequisites, missingPrerequisites } from '../lab/prerequisites.ts';
import { waitHttp } from '../lab/probe.ts';
import { unpackRoot } from '../lab/root.ts';
import { demoFolder, linkArtifacts, nodekiln, demoManifest } from './baked.ts';
import { dataOf, errorCodeOf } from './envelope.ts';
import {
  replaceOnce,
  withHangingUnit,
  withTypo,
  withUnknownFlag,
  withWrongDigest,
  type Sabotage,
  type StageName,
} from './sabotage.ts';

export interface DemoOptions {
  readonly keep: boolean;
  readonly sabotage?: Sabotage;
  readonly say: (line: string) => void;
}

export class StageFailure extends Error {
  readonly stage: StageName;
  /** The code nodekiln gave, when it was nodekiln that failed. */
  readonly code: string | undefined;

  constructor(stage: StageName, message: string, about: { code?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: about.cause });
    this.name = 'StageFailure';
    this.stage = stage;
    this.code = about.code;
  }
}

const program = '/opt/nodekiln/bin/nodekiln';
const desiredFolder = '/etc/nodekiln/desired';

interface Demo extends DemoOptions {
  readonly root: string;
  fail(message: string, about?: { code?: string | undefined; cause?: unknown }): never;
}

export async function runDemo(options: DemoOptions): Promise<void> {
  let stage: StageName = 'prepare';
  let lab: Lab | undefined;
  let work: string | undefined;
  const enter = (name: StageName, about: string): void => {
    stage = name;
    options.say(`\n── ${name} ${'─'.repeat(Math.max(0, 12 - name.length))} ${about}`);
  };
  try {
    enter('prepare', 'what this machine lacks, the Debian root, packages and images');
    work = await prepare(options);
    const demo: Demo = {
      ...options,
      root: join(work, 'root'),
      fail: (message, about) => {
        throw new StageFailure(stage, message, about);
      },
    };
    enter('bake', 'an image of the manifest, from real packages');
    await bake(demo);
    lab = await openLab();
    enter('boot', 'the image as a host of its own: systemd, containerd, kubelet, a static pod; no network');
    const host = await boot(demo, lab);
    enter('tend', 'the agent follows a folder; only what changed restarts');
    await tend(demo, host);
    enter('reboot', 'kubelet and containerd start without us');
    await reboot(demo, host);
    enter('timeline', 'where the time of the boot went');
    await timeline(demo, host);
    if (options.keep) {
      options.say('\nthe host stays up; to enter and to remove it:');
      for (const line of await lab.keep()) options.say(`  ${line}`);
      lab = undefined;
      work = undefined;
    }
  } catch (error) {
    if (error instanceof StageFailure) throw error;
    throw new StageFailure(stage, error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    await lab?.close();
    if (work !== undefined) await rm(work, { recursive: true, force: true });
  }
}

// ── prepare ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function prepare({ say }: DemoOptions): Promise<string> {
  if (process.getuid?.() !== 0)
    throw new StageFailure('prepare', 'the demo makes a host of its own and needs root rights: run it as root');
  const missing = missingPrerequisites();
  if (missing.length > 0) {
    say(`this machine lacks ${missing.map((each) => each.package).join(', ')}`);
    await installPrerequisites(say);
  }
  await linkArtifacts(say);
  await buildBundle();
  const base = join(cacheFolder(), 'demo');
  await mkdir(base, { recursive: true });
  const work = await mkdtemp(join(base, 'run-'));
  await unpackRoot('trixie', join(work, 'root'), say);
  say('ready: a fresh Debian trixie root, two kubelet and two kubectl packages, two container images');
  return work;
}

// ── bake ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function bake(demo: Demo): Promise<void> {
  const manifest = await demoManifest(demo.say, demo.sabotage === 'wrong-digest' ? withWrongDigest : undefined);
  demo.say(`$ nodekiln bake examples/demo/${manifest.slice(manifest.lastIndexOf('/') + 1)} --root ${demo.root}`);
  // The packages of each machine's cache are its own: their lock file is not the example's.
  const lock = `${demo.root}.lock.json`;
  const result = await nodekiln(['bake', manifest, '--root', demo.root, '--lock', lock, '--json'], {
    onLine: progressLine(demo),
  });
  const error = errorCodeOf(result.stdout);
  if (result.status !== 0)
    demo.fail(`nodekiln bake ended with exit status ${result.status}: ${error?.message ?? result.stderr.trim()}`, {
      code: error?.code,
    });
  const report = dataOf(result.stdout, bakeReportKind);

  const index = JSON.parse(await readFile(join(demo.root, 'opt/nodekiln/cache/index.json'), 'utf8')) as {
    entries: { tool: string; key: string }[];
  };
  const cached = index.entries.map(({ tool, key }) => `${tool} ${key}`).sort();
  if (cached.filter((entry) => entry.startsWith('kubelet')).join() !== 'kubelet 1.34.3,kubelet 1.34.4')
    demo.fail(`the cache holds ${cached.join(', ')}`);
  if (
    await readFile(join(demo.root, witness)).then(
      () => true,
      () => false,
    )
  )
    demo.fail('a maintainer script of a kubelet package ran');
  demo.say(
    `cached: ${cached.join(', ')}; ${String(report['changes'])} resources changed; no maintainer script of a package ran`,
  );
}

/** Progress lines of nodekiln as they come, without the JSON of the result. */
function progressLine(demo: Demo): (line: string) => void {
  return (line) => {
    if (!/^[{}\s[\]"]/.test(line)) demo.say(`  ${line}`);
  };
}

// ── boot ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function boot(demo: Demo, lab: Lab): Promise<LabHost> {
  const example = await readFile(join(demoFolder, 'node.yaml'), 'utf8');
  const node = demo.sabotage === 'kubelet-exits' ? withUnknownFlag(example) : example;
  const host = await lab.host({
    name: 'demo',
    root: demo.root,
    seeds: ['/opt', '/var/lib/containerd'],
    prepare: async (root) => {
      await mkdir(join(root, 'etc/nodekiln/conf.d'), { recursive: true });
      await writeFile(join(root, 'etc/nodekiln/conf.d/10-node.yaml'), node, { mode: 0o600 });
    },
  });
  await host.start();
  demo.say(`$ ${program} boot   # by nodekiln-boot.service`);
  const result = await untilResult(demo, host);
  if (result.outcome !== 'converged') {
    const error = result.error as { code?: string; message?: string; lines?: string[] } | undefined;
    demo.fail(`the boot ${result.outcome}: ${error?.message ?? 'see the steps'}`, { code: error?.code });
  }
  await host.waitRunning(30_000);
  const version = (await host.check(['/opt/bin/kubelet', '--version'])).trim();
  if (version !== 'Kubernetes v1.34.3') demo.fail(`kubelet is ${version}`);
  const web = await waitHttp(host, { port: 8080, path: '/', timeoutMs: 30_000 });
  demo.say(`${version} is healthy; the static pod answers: ${web.body.trim().split('\n')[0] ?? ''}`);
  return host;
}

interface BootSummary {
  readonly outcome: string;
  readonly unchanged: boolean;
  readonly error?: unknown;
}

/** nodekiln publishes its result once, at the end, whatever happened. */
async function untilResult(demo: Demo, host: LabHost): Promise<BootSummary> {
  for (let waited = 0; waited < 120_000; waited += 100) {
    const text = await host.readFile('/var/lib/nodekiln/boot/result.json').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as BootSummary;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const log = await host.exec(['journalctl', '--unit', 'nodekiln-boot.service', '--no-pager', '--lines', '20']);
  return demo.fail(`no result of the boot after 120 s:\n${log.stdout}`);
}

// ── tend ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const watchedUnits = [
  'kubelet.service',
  'containerd.service',
  'nodekiln-demo.service',
  'nodekiln-demo-watched.service',
] as const;

async function tend(demo: Demo, host: LabHost): Promise<void> {
  demo.say(`$ ${program} agent --source dir:${desiredFolder}`);
  await host.check([
    'systemd-run',
    '--unit=nodekiln-demo-agent',
    '--property=KillMode=mixed',
    program,
    'agent',
    '--source',
    `dir:${desiredFolder}`,
    '--json',
  ]);
  const example = await readFile(join(demoFolder, 'desired.yaml'), 'utf8');
  const first =
    demo.sabotage === 'unit-hangs' ? withHangingUnit(example) : demo.sabotage === 'typo' ? withTypo(example) : example;

  const before = await invocations(host);
  await give(demo, host, first);
  const taken = await invocations(host);
  expectRestarts(demo, before, taken, ['nodekiln-demo-watched.service']);
  demo.say('taken over: nothing that was running restarted; a unit of the document’s own started');

  const changed = replaceOnce(example, 'first words from the agent', 'other words from the agent');
  await give(demo, host, changed);
  const afterChange = await invocations(host);
  expectRestarts(demo, taken, afterChange, ['nodekiln-demo-watched.service']);
  demo.say('changed one file: exactly the unit that reads it restarted');

  const removed = replaceOnce(changed, /^ {4}- path: \/etc\/nodekiln-demo\/short-lived\n(?: {6}.*\n| {8}.*\n)+/m, '');
  await give(demo, host, removed);
  if ((await host.exec(['test', '-e', '/etc/nodekiln-demo/short-lived'])).status === 0)
    demo.fail('a file that the document dropped is still there');
  if ((await host.exec(['test', '-e', '/etc/nodekiln-demo/message'])).status !== 0)
    demo.fail('a file of the boot’s own source went with it');
  expectRestarts(demo, afterChange, await invocations(host), []);
  demo.say('removed one file: it is gone; the file that the boot brought stays; nothing restarted');

  const upgraded = replaceOnce(removed, 'version: 1.34.3', 'version: 1.34.4');
  await give(demo, host, upgraded);
  expectRestarts(demo, afterChange, await invocations(host), ['kubelet.service']);
  const version = (await host.check(['/opt/bin/kubelet', '--version'])).trim();
  if (version !== 'Kubernetes v1.34.4') demo.fail(`kubelet is ${version}`);
  await waitHttp(host, { port: 10248, path: '/healthz', timeoutMs: 30_000 });
  await waitHttp(host, { port: 8080, path: '/', timeoutMs: 30_000 });
  demo.say(`${version} from the cache; only kubelet restarted; the static pod answers`);
}

/** Gives the agent a document by renaming it into place and waits for what it reports about this very text. */
async function give(demo: Demo, host: LabHost, document: string): Promise<void> {
  const digest = sha256(document);
  await host.writeFile(`${desiredFolder}/10-node.yaml`, document, { mode: 0o600 });
  for (let waited = 0; waited < 60_000; waited += 100) {
    // All reports stay in the log: which one is the last at this moment says nothing.
    const report = (await agentReports(host)).find(({ documents }) => documents.some((each) => each.digest === digest));
    if (report?.outcome === 'converged') return;
    if (report) {
      const error = report.error as { code?: string; message?: string } | undefined;
      demo.fail(`the agent ${report.outcome}: ${error?.message ?? 'see its log'}`, { code: error?.code });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  demo.fail('the agent did not take up a document within 60 s');
}

async function agentReports(host: LabHost): Promise<AgentReport[]> {
  const log = await host.check([
    'journalctl',
    '--unit',
    'nodekiln-demo-agent.service',
    '--output',
    'cat',
    '--no-pager',
  ]);
  return log.split('\n').flatMap((line): AgentReport[] => {
    if (!line.startsWith('{')) return [];
    const event = JSON.parse(line) as { kind: string; data?: AgentReport };
    return event.kind === 'AgentReport' && event.data ? [event.data] : [];
  });
}

type Invocations = Readonly<Record<string, string>>;

/** InvocationIDs of the units of the demo: one that differs is one that was started anew. */
async function invocations(host: LabHost): Promise<Invocations> {
  const entries = await Promise.all(
    watchedUnits.map(
      async (unit) =>
        [unit, (await host.check(['systemctl', 'show', '--property=InvocationID', '--value', unit])).trim()] as const,
    ),
  );
  return Object.fromEntries(entries);
}

function expectRestarts(demo: Demo, before: Invocations, after: Invocations, expected: readonly string[]): void {
  const restarted = watchedUnits.filter((unit) => before[unit] !== after[unit]);
  if (restarted.join() !== expected.join())
    demo.fail(`restarted: ${restarted.join(', ') || 'nothing'}; expected: ${expected.join(', ') || 'nothing'}`);
}

// ── reboot ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function reboot(demo: Demo, host: LabHost): Promise<void> {
  await cp(await host.path('/var/lib/nodekiln/boot/result.json'), join(demo.root, '..', 'first-boot.json'));
  // Without us: if kubelet and containerd come up now, systemd alone started them.
  await host.check(['systemctl', 'disable', '--quiet', 'nodekiln-boot.service']);
  await host.reboot(60_000);
  await waitHttp(host, { port: 10248, path: '/healthz', timeoutMs: 30_000 });
  await waitHttp(host, { port: 8080, path: '/', timeoutMs: 60_000 });
  demo.say('after the reboot kubelet is healthy and the static pod answers');
  const result = await host.exec([program, 'boot', '--json']);
  const data = dataOf(result.stdout, 'BootResult');
  if (result.status !== 0 || data['unchanged'] !== true)
    demo.fail(`a second boot was not idle: ${result.stdout.slice(0, 2000)}`, {
      code: errorCodeOf(result.stdout)?.code,
    });
  const timed = await host.exec([program, 'boot']);
  demo.say(`$ ${program} boot\n  ${timed.stdout.trim()}`);
}

// ── timeline ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function timeline(demo: Demo, host: LabHost): Promise<void> {
  const table = await host.check([program, 'timeline', '--svg', '/tmp/timeline.svg']);
  demo.say(table.trimEnd());
  const target = join(import.meta.dirname, '..', '..', 'dist', 'timeline.svg');
  await writeFile(target, await host.readFile('/tmp/timeline.svg'));
  demo.say('the picture: dist/timeline.svg');
}
