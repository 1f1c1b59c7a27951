/** Why there is no answer of an API server, each a code of its own with what to do. Pure. */
import { NodekilnError } from '../errors.ts';
import type { NetError } from '../host/port.ts';

export const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** The server did not answer, or not as one that is trusted. `now`: this machine's time. */
export function unanswered(thrown: NetError, server: string, now: number): NodekilnError {
  const detail = { cause: thrown };
  const { why, reason } = thrown;
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
        `the certificate of the API server ${server} does not hold yet, by this machine’s clock (${iso(now)})`,
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
