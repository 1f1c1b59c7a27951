/** Whether a component answers, by its own word for being ready. */
import type { Net } from '../../host/port.ts';
import { reveal, type Readiness } from '../../model/resources.ts';
import { shownAddress } from '../../model/shown-address.ts';

export interface ProbeOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Undefined when it is ready, else what is missing, in words. Never throws but for the signal. */
export async function probeReadiness(
  net: Pick<Net, 'request' | 'socketAnswers'>,
  readiness: Readiness,
  { timeoutMs, signal }: ProbeOptions,
): Promise<string | undefined> {
  switch (readiness.type) {
    case 'active':
      return undefined;
    case 'socket':
      return (await net.socketAnswers(readiness.path, timeoutMs)) ? undefined : `nothing answers at ${readiness.path}`;
    case 'http':
      try {
        const response = await net.request({ url: reveal(readiness.url), timeoutMs, ...(signal && { signal }) });
        return response.status === 200 ? undefined : `${shownAddress(readiness.url)} answers ${response.status}`;
      } catch {
        return `nothing answers at ${shownAddress(readiness.url)}`;
      }
  }
}
