/**
 * Makes an unbaked machine one that an agent tends: nodekiln by digest, from a registry or a web server, on the PATH of who logs
 * in, the AgentConfig, the agent's unit, and its certificate, which the agent itself asks for with the bootstrap token. What is there already stays: user data that runs
 * again, or says something older, takes nothing back. Each step is whole or absent, and run again after a crash this goes on.
 */
import { readAgentConfig } from './config.ts';
import { agentCertificatePath } from './identity.ts';
import { noteBrought, type Brought } from './bootstrap-brought.ts';
import { readMarker, writeMarker, type BootstrapMarker } from './bootstrap-marker.ts';
import { installProgram, replaceProgram, type ProgramOptions } from './bootstrap-program.ts';
import { digestOf, nameOf } from './program-origin.ts';
import { readOwnCertificate, type OwnCertificate } from './own-certificate.ts';
import { agentUnit } from '../model/agent-identity.ts';
import { readTrial } from './self-update/trial.ts';
import type { AgentClusterItem, AgentSpec } from '../config/agent-config.ts';
import { documentPaths } from '../config/defaults.ts';
import { pathFiles, profilePath } from '../desired/own-path.ts';
import {
  agentBootstrapUnitName as ownUnit,
  agentUnit as agentUnitText,
  agentUpdateUnitName,
} from '../desired/own-units.ts';
import { readText } from '../documents/sources/folder.ts';
import { NodekilnError } from '../errors.ts';
import { readHostName } from '../host/facts.ts';
import type { Host, UnitJob } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { readPathReaders } from '../image/path-readers.ts';
import { rootFile, type FileWrite } from '../model/files.ts';
import { programFolder } from '../model/state-paths.ts';

const lookAgainMs = 500;
/** Longer than the errand waits for an agent, and brings one back. */
const settleMs = 15 * 60_000;

/** One thing that was done, or was found done. */
export interface BootstrapStep {
  readonly step: 'restart' | 'program' | 'path' | 'config' | 'unit' | 'certificate' | 'disable';
  readonly outcome: 'done' | 'kept';
  /** Which file or unit. */
  readonly what: string;
}

/** What became of it. */
export interface BootstrapReport {
  /** It had been applied before: nothing was done. */
  readonly applied: boolean;
  readonly steps: readonly BootstrapStep[];
}

export interface BootstrapOptions extends ProgramOptions {
  /** Path of the AgentConfig. Absolute. */
  readonly config: string;
  /** How long somebody may take to approve the agent's certificate. */
  readonly certificateMs: number;
  /** Whether shells and sudo find nodekiln, and the programs that documents bring to /opt/bin. */
  readonly path: boolean;
  readonly onStep?: (step: BootstrapStep) => void;
}

/**
 * NK_USAGE for an image without a digest, NK_AGENT_UPDATE_FAILED for a program that does not run here, or that came in the place of
 * another and did not come up, and what reading the AgentConfig throws, before anything is changed; errors of fetching;
 * NK_UNIT_FAILED; NK_CLUSTER_REQUEST_PENDING when there is no certificate in time.
 */
export async function bootstrapAgent(host: Host, options: BootstrapOptions): Promise<BootstrapReport> {
  const { files } = host;
  const digest = digestOf(options.origin);
  const before = await readMarker(files);
  if (before && (digest === undefined || before.digest === digest)) return { applied: true, steps: [] };
  if (digest === undefined)
    throw new NodekilnError('NK_USAGE', `${nameOf(options.origin)} names no digest`, {
      hint: 'Write it like registry.example.org/nodekiln@sha256:…; `./dev build` prints it.',
    });
  if (before) return another(host, options, { digest, before });
  return first(host, options, digest);
}

/** What makes a note of each step. */
function notes({ onStep }: BootstrapOptions) {
  const steps: BootstrapStep[] = [];
  const note = (step: BootstrapStep['step'], what: string, done: boolean): void => {
    const noted = { step, what, outcome: done ? 'done' : 'kept' } as const;
    steps.push(noted);
    onStep?.(noted);
  };
  return { steps, note };
}

async function first(host: Host, options: BootstrapOptions, digest: string): Promise<BootstrapReport> {
  const { files, units } = host;
  const spec = await readAgentConfig(files, { config: options.config });
  const { steps, note } = notes(options);
  const paths = options.path ? await missingPathFiles(files) : [];
  await noteBrought(files, [...(await missing(host)), ...paths.map(({ path }) => path as Brought)]);
  note('program', programFolder, await installProgram(host, options));
  if (paths.length > 0) await files.write(paths);
  if (options.path) note('path', profilePath, paths.length > 0);
  note('config', documentPaths.agent, await installConfig(host, options.config));
  const { cluster } = spec;
  const isAsking = cluster !== undefined && cluster.kubeconfig === undefined;
  const had = isAsking && (await hasCertificate(host, cluster, spec.nodeName));
  note('unit', agentUnit, await startAgent(host));
  if (isAsking) {
    await certificate(host, spec, options);
    note('certificate', agentCertificatePath, !had);
  }
  if ((await units.enablement(ownUnit)) === 'enabled') {
    await units.setEnablement('disable', [ownUnit]);
    note('disable', ownUnit, true);
  }
  // Last: whatever is missing before it is made up for by another run.
  await writeMarker(files, { digest });
  return { applied: false, steps };
}

/** What this is about to bring. */
async function missing({ files, units }: Host): Promise<Brought[]> {
  const brought: Brought[] = [];
  if (!(await files.stat(`${programFolder}/nodekiln`))) brought.push('program');
  if (!(await files.stat(documentPaths.agent))) brought.push('config');
  if ((await units.get(agentUnit)).loadState === 'not-found') brought.push('unit');
  if ((await units.enablement(agentUnit)) !== 'enabled') brought.push('enablement');
  return brought;
}

/**
 * Puts a newer program in the place of the one in use, and waits whether the agent comes up with it. What the agent knows and is
 * stays.
 */
async function another(
  host: Host,
  options: BootstrapOptions,
  { digest, before }: { readonly digest: string; readonly before: BootstrapMarker },
): Promise<BootstrapReport> {
  const { files } = host;
  const { steps, note } = notes(options);
  refuseTried(before, digest);
  const became = await replaceProgram(host, options, digest);
  if (became === 'offered') {
    await settled(host, digest, options.signal);
    note('restart', agentUnit, true);
  }
  note('program', programFolder, became === 'offered' || became === 'placed');
  if (became !== 'busy') await writeMarker(files, { digest });
  return { applied: false, steps };
}

async function settled({ files, clock }: Host, digest: string, signal: AbortSignal | undefined): Promise<void> {
  const untilMs = clock.monotonic() + settleMs;
  while ((await readTrial(files))?.offer === digest) {
    if (clock.monotonic() >= untilMs)
      throw new NodekilnError('NK_TIMEOUT', `${agentUnit} is not another one after ${settleMs / 60_000} minutes`, {
        hint: `Look at the log of ${agentUpdateUnitName}; then run this again, which goes on waiting.`,
      });
    await clock.sleep(lookAgainMs, signal);
  }
  refuseTried(await readMarker(files), digest);
}

function refuseTried(marker: BootstrapMarker | undefined, digest: string): void {
  const { refused } = marker ?? {};
  if (refused?.digest !== digest) return;
  throw new NodekilnError('NK_AGENT_UPDATE_FAILED', refused.message, {
    resource: `unit:${agentUnit}`,
    lines: refused.lines,
  });
}

/** As a bake makes them for an image; what is there already stays. */
async function missingPathFiles(files: Host['files']): Promise<FileWrite[]> {
  const wanted = pathFiles({ targets: [], program: true, readers: await readPathReaders(files) });
  const there = await Promise.all(wanted.map(({ path }) => files.stat(path)));
  return wanted
    .filter((_file, index) => there[index] === undefined)
    .map((file): FileWrite =>
      'target' in file
        ? { type: 'symlink', ...file }
        : rootFile(file.path, bytesOf(file.text), Number.parseInt(file.mode, 8)),
    );
}

/** False when there is one. It holds a token, perhaps: only root reads it. */
async function installConfig({ files }: Host, from: string): Promise<boolean> {
  if (await files.stat(documentPaths.agent)) return false;
  const { text } = await readText(files, from);
  await files.write([rootFile(documentPaths.agent, bytesOf(text), 0o600)]);
  return true;
}

/** False when it ran already. A unit that an image or an administrator wrote stays as it is. */
async function startAgent(host: Host): Promise<boolean> {
  const { files, units } = host;
  if ((await units.get(agentUnit)).loadState === 'not-found') {
    await files.write([rootFile(`/etc/systemd/system/${agentUnit}`, bytesOf(agentUnitText(undefined)), 0o644)]);
    await units.daemonReload();
  }
  await units.setEnablement('enable', [agentUnit]);
  if ((await units.get(agentUnit)).activeState === 'active') return false;
  await succeed(host, await units.start(agentUnit));
  return true;
}

async function succeed({ units }: Host, job: UnitJob): Promise<void> {
  const result = await job.result;
  if (result !== 'done')
    throw new NodekilnError('NK_UNIT_FAILED', `${agentUnit} did not start: ${result}`, {
      resource: `unit:${agentUnit}`,
      lines: await units.log(agentUnit, 20),
    });
}

/** One of this node's that holds. */
async function ownCertificate(host: Host, nodeName: string | undefined): Promise<OwnCertificate | undefined> {
  const own = await readOwnCertificate(host, nodeName ?? (await readHostName(host)).toLowerCase());
  return own && host.clock.now() < own.notAfter ? own : undefined;
}

/**
 * One of another authority is of another cluster, and goes while nobody shows it. Of an agent that runs it is not asked: some
 * clusters have an authority for clients that is not the one of their servers, and a new one would be no different.
 */
async function hasCertificate(host: Host, cluster: AgentClusterItem, nodeName: string | undefined): Promise<boolean> {
  const { files, signatures, units } = host;
  const own = await ownCertificate(host, nodeName);
  if (!own || (await units.get(agentUnit)).activeState === 'active') return own !== undefined;
  const { caBundle, caFile } = cluster;
  const ca = caFile === undefined ? caBundle : textOf(await files.read(caFile, { maxBytes: 1024 * 1024 }));
  if (ca === undefined || (await signatures.issuedBy(own.pem, ca))) return true;
  await files.remove([agentCertificatePath]);
  return false;
}

/** Waits for what the agent asks for. */
async function certificate(host: Host, spec: AgentSpec, options: BootstrapOptions): Promise<void> {
  const { clock, units } = host;
  const until = clock.monotonic() + options.certificateMs;
  while (!(await ownCertificate(host, spec.nodeName))) {
    if (options.signal?.aborted)
      throw new NodekilnError('NK_INTERRUPTED', 'stopped while the agent waits for its certificate');
    if (clock.monotonic() >= until)
      throw new NodekilnError(
        'NK_CLUSTER_REQUEST_PENDING',
        `the agent has no certificate of ${spec.cluster?.servers[0] ?? 'its cluster'} yet; it goes on asking`,
        {
          hint: 'Somebody must approve its request, nodekiln-agent-…: run `nodekiln cluster approve` there, or `kubectl certificate approve`; then run this again.',
          lines: await units.log(agentUnit, 20),
        },
      );
    await clock.sleep(lookAgainMs, options.signal);
  }
}
