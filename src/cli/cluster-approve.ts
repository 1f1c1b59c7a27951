/** `nodekiln cluster approve`: answers requests for the certificates of agents. */
import { asNodekilnError } from '../errors.ts';
import type { Answered } from '../fleet/approver.ts';
import { count } from '../model/count.ts';
import { formatError } from './output.ts';
import { oneLine } from './printing.ts';
import { flagOption, textOption, type Answer, type Verb } from './verb.ts';

export const clusterApproveVerb: Verb = {
  spec: {
    name: 'cluster approve',
    summary: 'approve the certificate requests of agents that fit, and deny those that do not',
    description:
      'A request fits when subject, usages and requester do: a bootstrap token only for a node that is not there yet, an agent and a kubelet only for their own node. With --kubelet-serving the certificates that kubelets serve with are answered, too. Requests of anybody else are left alone. Runs until it is stopped.',
    arguments: [],
    options: [
      { flag: '--kubeconfig', value: 'FILE', about: 'the cluster, and who approves', required: true },
      {
        flag: '--kubelet-serving',
        about: 'answer requests of kubelets for what they serve, too: for names and addresses of their own Node',
      },
      { flag: '--once', about: 'answer those that wait now, and end' },
    ],
    examples: [
      'nodekiln cluster approve --kubeconfig approver.conf',
      'nodekiln cluster approve --kubeconfig approver.conf --once',
    ],
    kind: 'ApproverEvent',
    root: 'never',
    endsItself: true,
  },
  async run(call) {
    const [
      { approveOnce, approveUntil },
      { kubeconfigCredentials },
      { createKubeClient },
      { createKubeApi },
      { createLinuxHost },
      path,
    ] = await Promise.all([
      import('../fleet/approver.ts'),
      import('../kube/credentials.ts'),
      import('../kube/client.ts'),
      import('../kube/api.ts'),
      import('../host/linux/host.ts'),
      import('node:path'),
    ]);
    const host = createLinuxHost();
    try {
      const file = path.resolve(textOption(call.options, 'kubeconfig') ?? '');
      const credentials = kubeconfigCredentials(host.local, file, {
        programs: { exec: host.localExec, clock: host.clock },
      });
      const { server } = await credentials();
      const api = createKubeApi(
        createKubeClient(host, { servers: [server], credentials }, { keepAlive: true }),
        host.clock,
      );
      const options = {
        api,
        clock: host.clock,
        signatures: host.signatures,
        signal: call.signal,
        kubeletServing: flagOption(call.options, 'kubelet-serving'),
        onAnswered: (answered: Answered) => call.emit('CertificateAnswered', answerOf(answered)),
        onTrouble: (thrown: unknown) => {
          const error = asNodekilnError(thrown);
          call.emit('ApproverTrouble', {
            data: { error: error.toJSON() },
            text: formatError(error, call.terminal.style),
            error,
            fields: { NODEKILN_CODE: error.code },
          });
        },
      };
      if (!flagOption(call.options, 'once')) {
        await approveUntil(options);
        return { data: undefined, text: '', streamed: true };
      }
      const answered = await approveOnce(options);
      return { data: { answered: answered.length }, text: `${count(answered.length, 'request')} answered` };
    } finally {
      await host.close();
    }
  },
};

function answerOf(answered: Answered): Answer {
  return {
    data: answered,
    text: oneLine(`${answered.verdict} ${answered.name} of ${answered.username}: ${answered.why}`),
  };
}
