/** The body of a response in a staged file: hashed as it arrives, watched for stalls, never longer than expected. */
import type { IncomingMessage } from 'node:http';
import { NodekilnError } from '../../../errors.ts';
import { NetError } from '../../port/net.ts';
import type { Download, DownloadOutcome, HttpDownload } from '../../port/net.ts';
import type { Agents } from './agents.ts';
import { answerOf, asNetError, openExchange, type Deadline } from './exchange.ts';
import { placeInFile, type PlaceInFile } from '../../place-in-file.ts';
import { timerMs } from '../timers.ts';

const progressEveryMs = 100;
/** A refusal's words are read to keep the connection, when they are few. */
const fewBytes = 64 * 1024;

/** See `Net.download`. */
export async function download(agents: Agents, wanted: HttpDownload): Promise<Download> {
  const ms = wanted.timeoutMs;
  const deadline: Deadline = { signal: AbortSignal.timeout(timerMs(ms)), ms };
  let response: IncomingMessage;
  try {
    response = await openExchange(agents, wanted, deadline);
  } catch (thrown) {
    throw asNetError(thrown, wanted, deadline);
  }
  try {
    const { outcome, why = '' } = await receive(response, wanted);
    return { ...answerOf(response), outcome, why };
  } catch (thrown) {
    const error = asNetError(thrown, wanted, deadline);
    if (!(error instanceof NetError)) throw error;
    return { ...answerOf(response), outcome: 'cut', why: error.why };
  }
}

interface Reception {
  readonly outcome: DownloadOutcome;
  readonly why?: string;
}

async function receive(response: IncomingMessage, wanted: HttpDownload): Promise<Reception> {
  const { into, size, maxBytes } = wanted;
  const answer = answerOf(response);
  const place = placeInFile(answer, wanted);
  if (place === undefined || (await wanted.accepts?.(answer)) === false) {
    dismiss(response);
    return { outcome: 'unwanted' };
  }
  const { start, end, total } = place;
  if (total !== undefined && total !== (size ?? Math.min(total, maxBytes))) {
    response.destroy();
    return { outcome: 'size' };
  }
  if (start < into.size) await into.restart();
  return take(response, wanted, { total, end, limit: size ?? maxBytes });
}

function dismiss(response: IncomingMessage): void {
  if (Number(response.headers['content-length'] ?? Infinity) > fewBytes) response.destroy();
  else response.resume();
}

async function take(
  response: IncomingMessage,
  { into, stall, onProgress }: HttpDownload,
  { total, end = Infinity, limit }: Pick<PlaceInFile, 'total' | 'end'> & { readonly limit: number },
): Promise<Reception> {
  let lastProgress = -Infinity;
  let stalled: string | undefined;
  const stopWatching = watch(response, { into, stall }, (why) => (stalled = why));
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (into.size + chunk.length > end) {
        response.destroy();
        return { outcome: 'cut', why: 'more came than the part was said to have' };
      }
      if (into.size + chunk.length > limit) {
        response.destroy();
        return { outcome: 'size' };
      }
      await into.append(chunk);
      const now = performance.now();
      if (now - lastProgress < progressEveryMs) continue;
      lastProgress = now;
      onProgress?.(into.size, total);
    }
  } catch (thrown) {
    response.destroy();
    if (stalled === undefined || thrown instanceof NodekilnError) throw thrown;
    return { outcome: 'stalled', why: stalled };
  } finally {
    stopWatching();
  }
  if (!response.complete || into.size !== (total ?? into.size))
    return { outcome: 'cut', why: `the connection ended after ${into.size} of ${total ?? 'unknown'} bytes` };
  onProgress?.(into.size, total);
  return { outcome: 'whole' };
}

/** Ends a connection that brings too little. */
function watch(
  response: IncomingMessage,
  { into, stall }: Pick<HttpDownload, 'into' | 'stall'>,
  onStall: (why: string) => void,
): () => void {
  let seen = into.size;
  const timer = setInterval(() => {
    const came = into.size - seen;
    seen = into.size;
    if (came >= stall.bytes) return;
    const why = `only ${came} bytes came within ${stall.withinMs} ms`;
    onStall(why);
    response.destroy(new Error(why));
  }, stall.withinMs);
  return () => clearInterval(timer);
}
