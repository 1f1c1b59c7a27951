/** `nodekiln agent`: runs until it is stopped, which is its orderly end. Nothing heavy is imported here. */
import type { AgentEvent } from '../agent/agent.ts';
import type { NodekilnError } from '../errors.ts';
import type { AgentReport } from '../telemetry/agent-report.ts';
import { count } from '../model/count.ts';
import { formatDuration } from '../inspect/format.ts';
import { errorFrom } from './error-from.ts';
import type { JournalFields } from './journal.ts';
import { formatError, lines } from './output.ts';
import { oneLine } from './printing.ts';
import { flagOption, textOption, type Answer, type Call, type Verb } from './verb.ts';

export const agentVerb: Verb = {
  spec: {
    name: 'agent',
    summary: 'follow a source of documents and keep this machine as they say',
    description:
      'Runs until it is stopped by SIGTERM, SIGINT or SIGHUP, with exit status 0. How it goes about it, and the cluster it belongs to, are said in an AgentConfig; flags win over that. A bad document or an unhealthy unit is reported and the last good state kept; the next change of the source is tried.',
    arguments: [],
    options: [
      {
        flag: '--source',
        value: 'SOURCE',
        about: 'dir:/path of a folder with documents, or secret:NAMESPACE/NAME in a cluster',
      },
      {
        flag: '--config',
        value: 'FILE',
        about: 'an AgentConfig; /etc/nodekiln/agent.yaml when it is there',
      },
      { flag: '--kubeconfig', value: 'FILE', about: 'the cluster, instead of the one in the AgentConfig' },
      { flag: '--once', about: 'reconcile once and end; exit status says how it went' },
    ],
    examples: [
      'nodekiln agent --source dir:/etc/nodekiln/desired',
      'nodekiln agent --source dir:/etc/nodekiln/desired --once --json',
      'nodekiln agent --source secret:kube-system/pool-a --kubeconfig /etc/kubernetes/agent.conf',
    ],
    kind: 'AgentEvent',
    root: 'always',
    systemd: true,
    endsItself: true,
    isLog: true,
  },
  async run(call) {
    const { runAgent } = await import('../agent/agent.ts');
    const once = flagOption(call.options, 'once');
    const [source, config, kubeconfig] = ['source', 'config', 'kubeconfig'].map((name) =>
      textOption(call.options, name),
    );
    try {
      await runAgent({
        ...(source !== undefined && { source }),
        ...(config !== undefined && { config }),
        ...(kubeconfig !== undefined && { kubeconfig }),
        once,
        signal: call.signal,
        onEvent: (event) => tell(call, event, once),
      });
    } catch (thrown) {
      if (once || !call.signal.aborted) throw thrown;
    }
    return { data: undefined, text: '', streamed: true };
  },
};

function tell(call: Call, event: AgentEvent, once: boolean): void {
  switch (event.type) {
    case 'watching':
      call.emit('AgentWatching', { data: { source: event.source }, text: oneLine(`watching ${event.source}`) });
      return;
    case 'step':
      call.onEvent(event.event);
      return;
    case 'reconciled':
      call.emit('AgentReport', reportAnswer(call, event.report, once));
      return;
    case 'notice': {
      const { type, reason, message } = event.notice;
      const fields = { NODEKILN_REASON: reason };
      call.emit('AgentNotice', {
        data: { type, reason, message },
        text: oneLine(message),
        isWarning: type === 'Warning',
        fields,
      });
      return;
    }
    case 'postponed': {
      const { untilMs, why } = event.postponed;
      const until = untilMs === undefined ? undefined : new Date(untilMs).toISOString();
      call.emit('AgentPostponed', {
        data: { why, ...(until !== undefined && { until }) },
        text: oneLine(`a change waits${until === undefined ? '' : ` until ${until}`}: ${why}`),
      });
      return;
    }
    case 'trouble': {
      const { controller, error } = event;
      const text = `${controller}: ${formatError(error, call.terminal.style)}`;
      const fields = { NODEKILN_CONTROLLER: controller, ...errorFields(error) };
      call.emit('AgentTrouble', { data: { controller, error: error.toJSON() }, text, error, fields });
    }
  }
}

function reportAnswer({ terminal }: Call, report: AgentReport, once: boolean): Answer {
  const error = errorFrom(report.error);
  const generation = report.generation === undefined ? '' : ` (generation ${report.generation})`;
  const impact = report.impact.map(({ effect, unit }) => `  ${effect} ${unit}`);
  const head =
    report.changes === 0 && !error
      ? `nothing to do${generation}, known after ${formatDuration(report.durationMs)}`
      : `${report.outcome} in ${formatDuration(report.durationMs)}: ${count(report.changes, 'resource')} changed${generation}`;
  return {
    data: { ...report, ...(error && { error: error.toJSON() }) },
    // Of a single run it is how the verb ends, which says it.
    text: [lines(head, ...impact), ...(error && !once ? [formatError(error, terminal.style)] : [])].join('\n'),
    ...(error && { error }),
    ...((error ?? report.changes > 0) && {
      fields: {
        NODEKILN_CONTROLLER: 'desired-state',
        NODEKILN_GENERATION: report.generation?.toString(),
        ...(error && errorFields(error)),
      },
    }),
  };
}

function errorFields({ code, resource }: NodekilnError): JournalFields {
  return { NODEKILN_CODE: code, NODEKILN_RESOURCE: resource };
}
