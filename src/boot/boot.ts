/**
 * The boot: documents and facts → resources → a running kubelet, as early as possible. Called by `nodekiln-boot.service`
 * at every start of the machine; the second time there is nothing to do.
 *
 * The result is published once, atomically, at the end, whatever happened. A failed boot is taken up where it stopped.
 */
import type { Prepared } from '../apply/reconcile.ts';
import { prepare } from '../apply/reconcile.ts';
import { openExistingJournal } from '../apply/journal.ts';
import { runWith, withHostLock, withJournal, type Ended, type HostState } from '../apply/run.ts';
import { bootTexts, loadNodeDocuments, namedTexts } from '../documents/documents.ts';
import type { NodeAsk } from '../documents/kinds/kind.ts';
import type { SourcedText } from '../documents/sources/source.ts';
import { asNodekilnError, type NodekilnError } from '../errors.ts';
import { observeFacts } from '../host/facts.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { publishResult } from '../telemetry/publication.ts';
import { startRecording, type Recording, type ResultPart } from '../telemetry/recording.ts';
import { resultStep, type BootResult } from '../telemetry/result.ts';

export interface BootOptions {
  /** Leave out resources of scope `node`: the machine is captured afterwards. */
  readonly sharedOnly?: boolean;
  readonly onEvent?: (event: StepEvent) => void;
  readonly signal?: AbortSignal;
}

/** What kubelet's and the runtime's first start reads from disk: worth having in the page cache before they ask. */
const warmPaths = [
  '/opt/bin/kubelet',
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/runc',
  '/usr/sbin/runc',
];

const lockWaitMs = 10_000;
/** A step that hears no signal does not keep the machine from what systemd wants of it; the next boot takes it up. */
const leaveAfterMs = 500;

/** Boots the machine we run on. Throws what stands in the way before anything is applied; failures of steps are in the result. */
export async function boot(options: BootOptions = {}): Promise<BootResult> {
  const host = withFaults(createLinuxHost());
  try {
    return await bootHost(host, options);
  } finally {
    await host.close();
  }
}

/** The same on a given host. */
export async function bootHost(host: Host, options: BootOptions = {}): Promise<BootResult> {
  const recording = startRecording(host.clock, host.program.startedMs);
  const warming = host.files.warm(warmPaths);
  const run: BootRun = { host, recording, options, published: false, warnings: [] };
  try {
    return await withHostLock(host, { waitMs: lockWaitMs, ...signalOf(options) }, async () => {
      try {
        return await withJournal(host, (state) => applyDocuments(state, run));
      } catch (thrown) {
        const error = asNodekilnError(thrown);
        // Where the journal cannot even be opened, the result says so.
        if (!run.published) await publishFailure(run, error);
        throw error;
      }
    });
  } finally {
    await warming;
  }
}

interface BootRun {
  readonly host: Host;
  readonly recording: Recording;
  readonly options: BootOptions;
  /** Set before it is tried: a result is published once. */
  published: boolean;
  warnings: readonly string[];
}

/** With the lock held: everything that is recorded, up to the published result. */
function applyDocuments(state: HostState, run: BootRun): Promise<BootResult> {
  const { host, recording, options } = run;
  const selfUnit = host.program.environment['NODEKILN_UNIT'];
  return runWith(state, {
    source: 'boot',
    artifactBase: '/',
    leaveAfterMs,
    ...signalOf(options),
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.sharedOnly === true && { sharedOnly: true }),
    ...(selfUnit && { selfUnit }),
    ask: async () => {
      const asked = await askDocuments(host, recording, () => bootTexts(host.files));
      run.warnings = asked.desired.warnings;
      return asked;
    },
    span: (name, work) => recording.span(name, work),
    onPrepared: () => recording.milestone('planned'),
    publish: (ended) => publishEnd(run, ended),
  });
}

/** Documents and facts → what this source asks for. */
async function askDocuments(
  host: Host,
  recording: Recording,
  read: () => Promise<readonly SourcedText[]>,
): Promise<NodeAsk> {
  const [ask, facts] = await Promise.all([
    recording.span('read documents', async () => loadNodeDocuments(await read())),
    recording.span('observe facts', () => observeFacts(host)),
  ]);
  recording.milestone('config');
  return ask(facts);
}

async function publishEnd(run: BootRun, ended: Ended): Promise<BootResult> {
  if (ended.type === 'stopped') throw ended.error;
  const { host, recording, warnings } = run;
  const { result } = ended;
  await recording.addReport(host, result);
  return publish(run, {
    outcome: result.outcome,
    unchanged: result.changes === 0,
    generation: result.generation,
    steps: result.steps.map(resultStep),
    warnings,
    ...(result.error && { error: result.error.toJSON() }),
  });
}

/** Of a boot that was stopped before its plan was carried out. */
async function publishFailure(run: BootRun, error: NodekilnError): Promise<void> {
  const nothing = { unchanged: false, generation: undefined, steps: [] };
  await publish(run, { outcome: 'failed', ...nothing, warnings: run.warnings, error: error.toJSON() });
}

async function publish(run: BootRun, part: ResultPart): Promise<BootResult> {
  run.published = true;
  const result = await run.recording.result(run.host, part);
  await publishResult(run.host, result);
  return result;
}

function signalOf({ signal }: BootOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

export interface PlanOptions {
  /** Documents instead of those on the host, later ones over earlier ones. */
  readonly documents?: readonly string[];
}

/** What a boot would do now; changes nothing. */
export async function planBoot({ documents = [] }: PlanOptions = {}): Promise<{
  prepared: Prepared;
  warnings: readonly string[];
}> {
  const host = createLinuxHost();
  const journal = await openExistingJournal(host);
  try {
    const read = (): Promise<readonly SourcedText[]> =>
      documents.length > 0 ? namedTexts(host.files, documents) : bootTexts(host.files);
    const { desired } = await askDocuments(host, startRecording(host.clock, host.clock.monotonic()), read);
    return { prepared: await prepare({ host, journal, source: 'boot', desired }), warnings: desired.warnings };
  } finally {
    journal?.close();
    await host.close();
  }
}
