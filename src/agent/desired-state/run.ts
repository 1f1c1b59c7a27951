/** One run of the desired state, and how it ends where it has to wait. */
import type { Prepared, Result } from '../../apply/reconcile.ts';
import type { NodePart } from '../../documents/kinds/kind.ts';
import type { InPlaceUpdates } from '../../desired/in-place.ts';
import { NodekilnError } from '../../errors.ts';
import type { AgentContext, Postponed, ReconcileContext } from '../controller.ts';
import type { DueUpdate } from '../in-place/due.ts';
import type { OwnRun } from '../self-update/self-update.ts';
import type { Serial } from '../serial.ts';
import type { Read } from './reading.ts';

export interface Run extends AgentContext {
  readonly turn: ReconcileContext;
  readonly startedMs: number;
  /** With the lock held. */
  read: Read | undefined;
  /** Why the last good state was kept instead of what the source says now, which is not known or makes no sense. */
  kept: NodekilnError | undefined;
  postponed: Waiting | undefined;
  /** What is no longer as it was put in place. */
  drift: string | undefined;
  node: NodePart | undefined;
  inPlace: InPlaceUpdates | undefined;
  /** Updates in place that are to be made. */
  due: readonly DueUpdate[];
  readonly serial: Serial | undefined;
  prepared: Prepared | undefined;
  /** Of what was carried out. */
  result: Result | undefined;
  /** Manifests of static pods that kubelet does not run, though they had their time. */
  unrun: readonly string[];
  /** The agent itself, where documents may change it. */
  own: OwnRun | undefined;
  ownIs: 'none' | 'due' | 'placed' | 'waits';
  /** What is in place and asked for as it was is not looked at. */
  readonly onlyChanges: boolean;
}

export interface Waiting extends Postponed {
  readonly waitMs: number;
  /** Nobody was told yet. */
  readonly isNew: boolean;
}

/** Ends the run with nothing touched. */
export function putOff(run: Run, waiting: Waiting): never {
  run.postponed = waiting;
  throw new NodekilnError('NK_INTERRUPTED', `waits for its turn: ${waiting.why}`);
}
