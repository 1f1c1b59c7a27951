/** What stands in the way of joining, each a code of its own with what to do. Pure. */
import { count } from '../../model/count.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { NetError } from '../../host/port.ts';
import { iso } from '../../kube/unanswered.ts';

/** Beyond this much between the two clocks certificates that were just made may not hold yet: signers date them back by five minutes. */
export const mostSkewMs = 5 * 60_000;

/** Nothing came back in time: that says less than any answer, of whatever kind. */
export function isSilence({ code, cause }: NodekilnError): boolean {
  if (code !== 'NK_CLUSTER_UNREACHABLE' || !(cause instanceof NodekilnError)) return false;
  return cause instanceof NetError ? cause.reason === undefined : cause.code === 'NK_TIMEOUT';
}

/** Why the client had no answer: as it says it, or that none came in time. */
export function noAnswer(thrown: unknown): NodekilnError {
  const error = asNodekilnError(thrown);
  if (error.code.startsWith('NK_CLUSTER_')) return error;
  return new NodekilnError('NK_CLUSTER_UNREACHABLE', error.message, { cause: error });
}

/** Certificates hold on neither side when the clocks are too far apart. Undefined when they are not. */
export function clocksApart(server: string, now: number, serverTime: number | undefined): NodekilnError | undefined {
  if (serverTime === undefined || Math.abs(now - serverTime) <= mostSkewMs) return undefined;
  const minutes = Math.round(Math.abs(now - serverTime) / 60_000);
  return new NodekilnError(
    'NK_CLUSTER_CLOCK',
    `this machine’s clock (${iso(now)}) is ${count(minutes, 'minute')} ${now < serverTime ? 'behind' : 'ahead of'} that of the API server ${server}`,
  );
}

/** A status that an API server does not give to those it knows. */
export function unexpected(server: string, status: number): NodekilnError {
  return new NodekilnError('NK_CLUSTER_UNREACHABLE', `the API server ${server} answers with status ${status}`);
}
