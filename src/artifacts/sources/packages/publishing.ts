/**
 * A repository that is being published: its signed index is of another moment than the files it vouches for. apt and dnf
 * call it a hash sum mismatch, and it passes, so what the index names is asked for again from the index on, a few times.
 * Content that does not fit is refused all the same; only the last refusal is told.
 */
import { NodekilnError } from '../../../errors.ts';
import type { FetchContext } from '../source.ts';
import { isChangedSinceSigned } from './openpgp.ts';

/** How long is waited before each further attempt, in milliseconds: mirrors take seconds, sometimes a minute. */
const pausesMs = [1_000, 4_000, 10_000, 20_000];

/** What does not fit the index that names it. */
class Unsettled extends Error {
  readonly refusal: NodekilnError;

  constructor(refusal: NodekilnError) {
    super(refusal.message, { cause: refusal });
    this.refusal = refusal;
  }
}

/** Fetches what an index, or the signature beside it, vouches for: what does not fit may be of another moment. */
export async function vouchedFor<T>(fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (thrown) {
    throw isOfAnotherMoment(thrown) ? new Unsettled(thrown) : thrown;
  }
}

function isOfAnotherMoment(thrown: unknown): thrown is NodekilnError {
  if (!(thrown instanceof NodekilnError)) return false;
  return thrown.code === 'NK_ARTIFACT_DIGEST' || thrown.code === 'NK_ARTIFACT_MISSING' || isChangedSinceSigned(thrown);
}

/** The whole way from the index to the package, again while what it vouches for does not fit; within the context's budget. */
export async function whenSettled<T>(
  context: FetchContext,
  attempt: (context: FetchContext) => Promise<T>,
): Promise<T> {
  const { clock, budgetMs, signal } = context;
  const deadline = clock.monotonic() + budgetMs;
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt({ ...context, budgetMs: Math.max(1, deadline - clock.monotonic()) });
    } catch (thrown) {
      if (!(thrown instanceof Unsettled)) throw thrown;
      const pauseMs = pausesMs[attempts - 1];
      if (pauseMs === undefined || clock.monotonic() + pauseMs >= deadline) throw refusedFor(thrown.refusal, attempts);
      await clock.sleep(pauseMs, signal).catch((cause: unknown) => {
        throw new NodekilnError('NK_INTERRUPTED', 'the wait for a repository to settle was interrupted', { cause });
      });
    }
  }
}

function refusedFor(refusal: NodekilnError, attempts: number): NodekilnError {
  const { code, message, resource, lines, problems } = refusal;
  return new NodekilnError(code, message, {
    cause: refusal,
    problems,
    lines: [...lines, `the repository was asked ${attempts === 1 ? 'once' : `${attempts} times, from its index on`}`],
    hint: 'The repository’s index names what is not there, or is other. One that is being published settles within minutes; a mirror or proxy that does not is at fault.',
    ...(resource !== undefined && { resource }),
  });
}
