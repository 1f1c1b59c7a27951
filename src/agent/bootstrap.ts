/**
 * Makes an unbaked machine one that an agent tends: nodekiln by digest, from a registry or a web server, the AgentConfig, the agent's unit, and
 * its certificate, which the agent itself asks for with the bootstrap token. What is there already stays: user data that runs
 * again, or says something older, takes nothing back. Each step is whole or absent, and run again after a crash this goes on.
 */
import { readAgentConfig } from './config.ts';
import { agentCertificatePath } from './identity.ts';
import { installProgram, replaceProgram, type ProgramOptions } from './bootstrap-program.ts';
import { digestOf, nameOf } from './program-origin.ts';
import { readOwnCertificate, type OwnCertificate } from './own-certificate.ts';
import { agentUnit } from '../model/agent-identity.ts';
import type { AgentClusterItem, AgentSpec } from '../config/agent-config.ts';
import { documentPaths } from '../config/defaults.ts';
import { agentBootstrapUnitName as ownUnit, agentUnit as agentUnitText } from '../desired/own-units.ts';
import { readText } from '../documents/sources/folder.ts';
import { NodekilnError } from '../errors.ts';
import { readHostName } from '../host/facts.ts';
import type { Host, UnitJob } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { rootFile } from '../model/files.ts';
import { agentBootstrapPath as markerPath, programFolder } from '../model/state-paths.ts';

const lookAgainMs = 500;

/** One thing that was done, or was found done. */
export interface BootstrapStep {
  readonly step: 'restart' | 'program' | 'config' | 'unit' | 'certificate' | 'disable';
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
  readonly onStep?: (step: BootstrapStep) => void;
}

/**
 * NK_USAGE for an image without a digest, NK_AGENT_UPDATE_FAILED for a newer one that does not run here, and what reading the AgentConfig throws, before anything is changed; errors of
 * fetching; NK_UNIT_FAILED; NK_CLUSTER_REQUEST_PENDING when there is no certificate in time.
 */
export async function bootstrapAgent(host: Host, options: BootstrapOptions): Promise<BootstrapReport> {
  const { files } = host;
  const digest = digestOf(options.origin);
  const before = await readMarker(files);
  if (before && (digest === undefined || before.digest === digest) && before.isRestarting !== true)
    return { applied: true, steps: [] };
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
  note('program', programFolder, await installProgram(host, options));
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

/** Puts a newer program in the place of the one that an earlier bootstrap brought. What the agent knows and is stays. */
async function another(
  host: Host,
  options: BootstrapOptions,
  { digest, before }: { readonly digest: string; readonly before: Marker },
): Promise<BootstrapReport> {
  const { files, units } = host;
  const { steps, note } = notes(options);
  // Killed between the two, the next run restarts the agent.
  const beforeSwitch = (): Promise<void> => writeMarker(files, { digest: before.digest, isRestarting: true });
  const isNewer = await replaceProgram(host, options, beforeSwitch);
  note('program', programFolder, isNewer);
  const isActive = (await units.get(agentUnit)).activeState === 'active';
  if (isActive && (isNewer || before.isRestarting === true)) {
    await succeed(host, await units.restart(agentUnit));
    note('restart', agentUnit, true);
  }
  await writeMarker(files, { digest });
  return { applied: false, steps };
}

interface Marker {
  /** Of what was applied last. */
  readonly digest: string;
  readonly isRestarting?: boolean;
}

/** One that cannot be read is of something else. */
async function readMarker(files: Host['files']): Promise<Marker | undefined> {
  const text = textOf(await files.read(markerPath, { maxBytes: 4096 }));
  if (text === undefined) return undefined;
  try {
    const { digest, isRestarting } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return { digest: typeof digest === 'string' ? digest : '', isRestarting: isRestarting === true };
  } catch {
    return { digest: '' };
  }
}

const writeMarker = (files: Host['files'], marker: Marker): Promise<void> =>
  files.write([rootFile(markerPath, bytesOf(`${JSON.stringify(marker)}\n`), 0o644)]).then(() => undefined);

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
