/** Waiting for servers that a file sends others to: any answer counts, also one of an error. */
import { NodekilnError } from '../../errors.ts';
import { NetError, type Host } from '../../host/port.ts';
import { textOf } from '../../model/bytes.ts';
import { reveal, type Reachability } from '../../model/resources.ts';
import { shownAddress } from '../../model/shown-address.ts';
import type { PerformContext } from '../performer.ts';

const intervalMs = 2000;
const answerMs = 1000;

type Server = Reachability['servers'][number];

/** NK_SOURCE_UNAVAILABLE names the servers that do not answer until the deadline, and why. */
export async function performReach(context: PerformContext, { servers, deadlineMs }: Reachability): Promise<void> {
  const { host, signal } = context;
  const endMs = host.clock.monotonic() + deadlineMs;
  for (;;) {
    const silent = (await Promise.all(servers.map((server) => silence(host, server, signal)))).flatMap(
      (why) => why ?? [],
    );
    const [first] = silent;
    if (first === undefined) return;
    if (host.clock.monotonic() + intervalMs > endMs)
      throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `no answer within ${deadlineMs / 1000} s: ${first}`, {
        lines: silent,
      });
    context.progress(`waits for ${first}`);
    await host.clock.sleep(intervalMs, signal);
  }
}

/** Why the server does not answer; undefined when it does. */
async function silence(
  host: Host,
  { url, caFiles }: Server,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const ca = caFiles && (await certificates(host, caFiles));
    await host.net.request({
      url: reveal(url),
      timeoutMs: answerMs,
      ...(ca !== undefined && { tls: { ca } }),
      ...(signal && { signal }),
    });
    return undefined;
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.code === 'NK_INTERRUPTED') throw thrown;
    // More than is kept is an answer all the same.
    if (thrown instanceof NetError && thrown.failure === 'too-large') return undefined;
    return `${shownAddress(url)}: ${thrown instanceof NetError ? thrown.why : thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
}

async function certificates({ local }: Host, paths: readonly string[]): Promise<string> {
  const texts = await Promise.all(
    paths.map(async (path) => {
      const text = textOf(await local.read(path).catch(() => undefined));
      if (!text?.includes('-----BEGIN')) throw new Error(`${path} holds no certificates`);
      return text;
    }),
  );
  return texts.join('\n');
}
