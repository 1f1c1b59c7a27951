/** The JSON envelope that every verb prints, read as strictly as the demo needs. */

export const bakeReportKind = 'BakeReport';

interface Envelope {
  readonly kind: string;
  readonly ok: boolean;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

function parse(stdout: string): Envelope | undefined {
  try {
    return JSON.parse(stdout) as Envelope;
  } catch {
    return undefined;
  }
}

export function dataOf(stdout: string, kind: string): Readonly<Record<string, unknown>> {
  const envelope = parse(stdout);
  if (!envelope?.ok || envelope.kind !== kind || !envelope.data)
    throw new Error(`no ${kind} on standard output:\n${stdout.slice(0, 2000)}`);
  return envelope.data;
}

export function errorCodeOf(stdout: string): { code: string; message: string } | undefined {
  return parse(stdout)?.error ?? undefined;
}
