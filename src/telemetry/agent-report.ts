/** What the agent did about its documents, as it says it, `nodekiln status` shows it and the journal keeps it. */
import { isMap } from '../config/paths.ts';
import type { Outcome } from '../model/report.ts';
import type { Impact } from '../model/steps.ts';

/** Why it looked: for the first time, since something changed, since time has passed, or since it failed. */
export type Reason = 'start' | 'change' | 'resync' | 'retry';

export interface AgentReport {
  /** `dir:/etc/nodekiln/desired` */
  readonly source: string;
  /** Without repetition. */
  readonly reasons: readonly Reason[];
  /** Fingerprint of all documents; absent when they could not be read. */
  readonly digest?: string;
  /** What was read, in the order in which it merges, each with the digest of its text. */
  readonly documents: readonly { readonly file: string; readonly digest: string }[];
  readonly outcome: Outcome;
  readonly generation: number | undefined;
  readonly changes: number;
  readonly impact: readonly Impact[];
  readonly durationMs: number;
  readonly finishedAt: string;
  readonly error?: unknown;
}

/** The journal's notes. */
interface Notes {
  note(key: string, isSuch?: (value: unknown) => boolean): unknown;
  setNote(key: string, value: unknown): void;
}

const lastNote = 'agent';
const reportsNote = 'agent reports';
const reportsKept = 20;

/** Keeps the report beside the last ones. One that found nothing to do takes the place of another such about the same documents. */
export function keepReport(notes: Notes, report: AgentReport): void {
  const kept = keptReports(notes);
  const last = kept.at(-1);
  const before = last && isIdle(last) && isIdle(report) && last.digest === report.digest ? kept.slice(0, -1) : kept;
  notes.setNote(lastNote, report);
  notes.setNote(reportsNote, [...before, report].slice(-reportsKept));
}

export function lastReport(notes: Pick<Notes, 'note'>): AgentReport | undefined {
  // What it lacks an earlier agent did not know.
  return (notes.note(lastNote, (value) => value === null || isReport(value)) ?? undefined) as AgentReport | undefined;
}

/** The oldest first. */
export function keptReports(notes: Pick<Notes, 'note'>): readonly AgentReport[] {
  const noted = notes.note(reportsNote, (value) => Array.isArray(value) && value.every(isReport));
  return (noted ?? []) as AgentReport[];
}

function isReport(value: unknown): boolean {
  if (!isMap(value) || typeof value['source'] !== 'string' || typeof value['outcome'] !== 'string') return false;
  return ['reasons', 'documents', 'impact'].every((field) => Array.isArray(value[field]));
}

function isIdle({ changes, outcome }: AgentReport): boolean {
  return changes === 0 && outcome === 'converged';
}
