/** What a run of the documents has to do with updates in place: it waits for a drained Node, and notes what was made. */
import type { Journal } from '../../apply/journal.ts';
import { NodekilnError } from '../../errors.ts';
import { parseOsRelease } from '../../host/os-release.ts';
import type { Host } from '../../host/port.ts';
import { textOf } from '../../model/bytes.ts';
import type { AgentReport } from '../../telemetry/agent-report.ts';
import { drainedBy } from '../in-place/drained.ts';
import { clearInPlaceNote, dueUpdates, inPlaceNote, noteOf, setInPlaceNote, systemVersionIn } from '../in-place/due.ts';
import { turnNote } from '../turn.ts';
import { putOff, type Run } from './run.ts';

/**
 * Ends the run, with nothing touched, while pods are on the Node that a change would disturb. What was begun goes on. A Node
 * that is not there has no pods.
 */
export async function awaitDrain(run: Run, journal: Journal): Promise<void> {
  const { inPlace, kept, host, cluster, read, config, applied } = run;
  if (!inPlace || kept || !read || read.error) return;
  const running = inPlace.operatingSystem && (await runningSystem(host));
  run.due = dueUpdates(inPlaceNote(journal), inPlace, running);
  const [first] = run.due;
  const node = cluster?.node();
  const isFree = !inPlace.drain || !cluster || (cluster.isNodeKnown && !node) || drainedBy(node) !== undefined;
  if (!first || isFree || turnNote(journal).applied === read.digest) {
    await forgetCpuManager(run, journal);
    return;
  }
  const before = applied.inPlace();
  applied.setInPlace({ asked: inPlace, due: run.due, state: 'waiting' });
  const why = `${run.due.map(({ what }) => what).join(', ')}: until the Node is drained`;
  putOff(run, { untilMs: undefined, waitMs: config.resync, why, isNew: before?.state !== 'waiting' });
}

const cpuManagerStatePath = '/var/lib/kubelet/cpu_manager_state';

/** kubelet does not start with what it noted under another policy. */
async function forgetCpuManager({ inPlace, host }: Run, journal: Journal): Promise<void> {
  const before = inPlaceNote(journal)?.kubelet.cpuManagerPolicy;
  if (!inPlace || before === undefined || before === inPlace.kubelet.cpuManagerPolicy) return;
  await host.files.remove([cpuManagerStatePath]);
}

/** Of the system that runs, not of one that was made ready to boot. */
async function runningSystem({ files }: Host): Promise<string | undefined> {
  const content = await files.read('/etc/os-release');
  return systemVersionIn(parseOsRelease(textOf(content) ?? '')['PRETTY_NAME'] ?? '');
}

/** A machine begins with what its first documents say; what is due later is noted by whoever makes it. */
export function noteInPlace(run: Run, journal: Journal, { outcome, error }: AgentReport): void {
  const { inPlace, due, kept, applied, read } = run;
  if (kept || !read || read.error) return;
  if (!inPlace) {
    if (inPlaceNote(journal)) clearInPlaceNote(journal);
    applied.setInPlace(undefined);
    return;
  }
  if (outcome === 'failed') {
    const reason =
      error instanceof NodekilnError ? `${error.code}: ${error.message}` : 'the documents could not be applied';
    applied.setInPlace({ asked: inPlace, due, state: 'failed', reason });
    return;
  }
  if (!inPlaceNote(journal)) setInPlaceNote(journal, noteOf(inPlace));
  applied.setInPlace({ asked: inPlace, due, state: 'applied' });
}
