/** What stands in the way of joining, each a code of its own with what to do. Pure. */
import { NodekilnError } from '../../errors.ts';
import { NetError } from '../../host/port.ts';

/** Beyond this much between the two clocks certificates that were just made may not hold yet: signers date them back by five minutes. */
export const mostSkewMs = 5 * 60_000;

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** The server did not answer, or not as one that is trusted. `now`: this machine's time. */
export function unanswered(thrown: unknown, server: string, now: number): NodekilnError {
  const detail = { cause: thrown };
  const why = thrown instanceof NetError ? thrown.why : thrown instanceof Error ? thrown.message : String(thrown);
  const reason = thrown instanceof NetError ? thrown.reason : undefined;
  switch (reason) {
    case 'untrusted':
      // OpenSSL's words for it are many, and none of them says whose word is missing.
      return new NodekilnError(
        'NK_CLUSTER_AUTHORITY',
        `the certificate of the API server ${server} comes from an authority that caBundle does not hold`,
        detail,
      );
    case 'other-name':
      return new NodekilnError(
        'NK_CLUSTER_CERTIFICATE',
        `the API server ${server} shows another’s certificate: ${why}`,
        detail,
      );
    case 'expired':
      return new NodekilnError(
        'NK_CLUSTER_CERTIFICATE',
        `the certificate of the API server ${server} has expired, by this machine’s clock (${iso(now)})`,
        { ...detail, hint: 'Is the clock right? If it is, renew the certificate on the control plane.' },
      );
    case 'not-yet-valid':
      return new NodekilnError(
        'NK_CLUSTER_CLOCK',
        `the certificate of the API server ${server} does not hold yet: this machine’s clock says ${iso(now)}`,
        detail,
      );
    case 'no-name':
      return new NodekilnError(
        'NK_CLUSTER_UNREACHABLE',
        `the name of the API server ${server} cannot be resolved: ${why}`,
        {
          ...detail,
          hint: 'Check the name in `cluster.server`, and the resolver in /etc/resolv.conf.',
        },
      );
    case 'refused':
      return new NodekilnError('NK_CLUSTER_UNREACHABLE', `nobody listens at the API server ${server}: ${why}`, detail);
    case 'no-route':
      return new NodekilnError('NK_CLUSTER_UNREACHABLE', `there is no way to the API server ${server}: ${why}`, detail);
    case undefined:
      return new NodekilnError('NK_CLUSTER_UNREACHABLE', `the API server ${server} does not answer: ${why}`, detail);
  }
}

/** Nothing came back in time: that says less than any answer, of whatever kind. */
export function isSilence({ code, cause }: NodekilnError): boolean {
  return code === 'NK_CLUSTER_UNREACHABLE' && cause instanceof NetError && cause.reason === undefined;
}

/** Certificates hold on neither side when the clocks are too far apart. Undefined when they are not. */
export function clocksApart(server: string, now: number, serverTime: number | undefined): NodekilnError | undefined {
  if (serverTime === undefined || Math.abs(now - serverTime) <= mostSkewMs) return undefined;
  const minutes = Math.round(Math.abs(now - serverTime) / 60_000);
  return new NodekilnError(
    'NK_CLUSTER_CLOCK',
    `this machine’s clock (${iso(now)}) is ${minutes} minutes ${now < serverTime ? 'behind' : 'ahead of'} that of the API server ${server}`,
  );
}

/** A status that an API server does not give to those it knows. */
export function unexpected(server: string, status: number): NodekilnError {
  return new NodekilnError('NK_CLUSTER_UNREACHABLE', `the API server ${server} answers with status ${status}`);
}
