/** What the agent did about its documents, as it says it, `nodekiln status` shows it and the journal keeps it. */
import type { Journal } from '../apply/journal.ts';
import { sha256 } from '../host/digest.ts';
import type { Outcome } from '../model/report.ts';
import type { Impact } from '../model/steps.ts';
import type { SourcedText } from '../documents/sources/source.ts';
import type { Reason } from './controller.ts';

export interface AgentReport {
  /** `dir:/etc/nodekiln/desired` */
  readonly source: string;
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

export function documentsOf(texts: readonly SourcedText[]): AgentReport['documents'] {
  return texts.map(({ file, text }) => ({ file, digest: sha256(text) }));
}

const lastNote = 'agent';
const reportsNote = 'agent reports';
const reportsKept = 20;

/** Keeps the report beside the last ones. One that found nothing to do takes the place of another such about the same documents. */
export function keepReport(journal: Journal, report: AgentReport): void {
  const kept = keptReports(journal);
  const last = kept.at(-1);
  const before = last && isIdle(last) && isIdle(report) && last.digest === report.digest ? kept.slice(0, -1) : kept;
  journal.setNote(lastNote, report);
  journal.setNote(reportsNote, [...before, report].slice(-reportsKept));
  journal.flush();
}

/** The oldest first. */
function keptReports(journal: Journal): readonly AgentReport[] {
  const noted = journal.note(reportsNote);
  return Array.isArray(noted) ? (noted as AgentReport[]) : [];
}

function isIdle({ changes, outcome }: AgentReport): boolean {
  return changes === 0 && outcome === 'converged';
}
