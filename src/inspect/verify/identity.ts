/** Nothing in the image belongs to one machine only: what `seal` removes is not there. */
import type { Files } from '../../host/port.ts';
import { traces } from '../../image/trace-table.ts';
import { findTrace, isKept, machineIdPath, machineIdProblem } from '../../image/traces.ts';
import { subjectOf, type Check } from './check.ts';

export async function checkIdentity(
  files: Files,
  about: { live: boolean; kept: ReadonlySet<string> },
): Promise<Check[]> {
  const checks: Check[] = [];
  const machineId = subjectOf(checks, 'identity', machineIdPath);
  if (about.live) machineId.skip('empty', running);
  else if (isKept(machineIdPath, about.kept)) machineId.skip('empty', 'kept when the image was sealed');
  else machineId.judge('empty', await machineIdProblem(files));
  for (const trace of traces) {
    if (trace.class !== 'identity') continue;
    const subject = subjectOf(checks, 'identity', trace.title);
    if (about.live) {
      subject.skip('absent', running);
      continue;
    }
    const paths = await findTrace(files, trace, about.kept);
    subject.judge('absent', paths.length === 0 ? undefined : `${paths.join(', ')}: ${trace.why}; run nodekiln seal`);
  }
  return checks;
}

const running = 'a running machine has its own';
