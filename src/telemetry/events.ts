/**
 * What the executor says while it carries out a schedule. Progress lines, the recording of a boot, spans and metrics are
 * made of these events alone. Every step that starts ends; one that never starts (passed over) only ends.
 */
import type { Progress } from '../artifacts/sources/download.ts';
import type { StepRecord } from '../model/report.ts';

export type StepEvent =
  | { readonly type: 'start'; readonly step: string }
  | { readonly type: 'end'; readonly record: StepRecord }
  | { readonly type: 'progress'; readonly step: string; readonly message: string; readonly transfer?: Progress };
