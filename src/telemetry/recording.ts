/**
 * The recording of a boot: milestones and spans on the host's monotonic clock while it goes on, and at the end the result
 * that is published of it.
 */
import { readBootId } from '../host/boot-id.ts';
import type { Clock, Host } from '../host/port.ts';
import { version } from '../model/program.ts';
import type { Report, StepRecord } from '../model/report.ts';
import { delaysIn } from './critical-path.ts';
import type { BootResult, Milestone, MilestoneName, Span } from './result.ts';

export interface Recording {
  /** Passed now, or at a time that something else noted (CLOCK_MONOTONIC milliseconds). */
  milestone(name: MilestoneName, atMs?: number): void;
  /** Does the work and notes when it began and ended, whatever became of it. */
  span<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** What the machine's own milestones and the report of the steps say. */
  addReport(host: Host, report: Pick<Report, 'steps' | 'goalMs'>): Promise<void>;
  result(host: Host, part: ResultPart): Promise<BootResult>;
}

export type ResultPart = Pick<
  BootResult,
  'outcome' | 'unchanged' | 'generation' | 'steps' | 'join' | 'warnings' | 'error'
>;

/** `processMs`: when our process was started. */
export function startRecording(clock: Clock, processMs: number): Recording {
  const milestones: Milestone[] = [{ name: 'process', atMs: processMs }];
  const spans: Span[] = [{ name: 'start of our process', startMs: processMs, endMs: clock.monotonic() }];
  const recording: Recording = {
    milestone: (name, atMs = clock.monotonic()) => void milestones.push({ name, atMs }),
    async span(name, work) {
      const startMs = clock.monotonic();
      try {
        return await work();
      } finally {
        spans.push({ name, startMs, endMs: clock.monotonic() });
      }
    },
    addReport: (host, report) => addReport(recording, host, report),
    result: async (host, part) => ({
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'BootResult',
      nodekilnVersion: version,
      runtime: host.program.runtime,
      bootId: await readBootId(host.files),
      ...unitOf(host),
      ...part,
      ...delaysOf(part),
      finishedAt: new Date(host.clock.now()).toISOString(),
      milestones: milestones.toSorted((a, b) => a.atMs - b.atMs),
      spans: spans.toSorted((a, b) => a.startMs - b.startMs),
    }),
  };
  return recording;
}

function delaysOf({ steps }: ResultPart): Pick<BootResult, 'delays'> {
  const delays = delaysIn(steps);
  return delays.length === 0 ? {} : { delays };
}

function unitOf({ program }: Host): Pick<BootResult, 'unit'> {
  const unit = program.environment['NODEKILN_UNIT'];
  return unit ? { unit } : {};
}

async function addReport(recording: Recording, host: Host, report: Pick<Report, 'steps' | 'goalMs'>): Promise<void> {
  const machine = await host.units.milestones();
  recording.milestone('kernel', machine.kernelUsec / 1000);
  recording.milestone('userspace', machine.userspaceUsec / 1000);
  const note = (name: MilestoneName, isOf: (step: StepRecord) => boolean): void => {
    const atMs = lastEnd(report.steps.filter((step) => step.status === 'done' && isOf(step)));
    if (atMs !== undefined) recording.milestone(name, atMs);
  };
  note('binaries', (step) => step.phase === 'goal' && step.id.startsWith('activate '));
  note('kubelet-queued', (step) => /^(start|restart) unit:kubelet\.service$/.test(step.id));
  note('runtime-ready', (step) => step.id === 'ready unit:containerd.service');
  if (report.goalMs === undefined) return;
  const kubelet = await host.units.get('kubelet.service');
  if (kubelet.activeEnterUsec > 0) recording.milestone('kubelet-started', kubelet.activeEnterUsec / 1000);
  recording.milestone('healthz', report.goalMs);
  const end = lastEnd(report.steps);
  if (end !== undefined) recording.milestone('deferred-done', end);
}

function lastEnd(steps: readonly StepRecord[]): number | undefined {
  return steps.length === 0 ? undefined : Math.max(...steps.map((step) => step.endMs));
}
