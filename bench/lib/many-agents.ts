/**
 * Many agents in one process, each on a machine in memory with a network of its own for what runs on the machine, and with the
 * real one to the API server. Says on standard output what each of them did, one JSON object a line; ends with its input.
 *
 *     many-agents FOLDER SOURCE MAX-DELAY NAME…      FOLDER/NAME.conf: the kubeconfig of an agent
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runAgentOn } from '../../src/agent/agent.ts';
import { NodekilnError } from '../../src/errors.ts';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import type { Host, HttpExchange, Net } from '../../src/host/port.ts';
import { createMemoryNode, textFile } from '../../test/support/memory-node.ts';

export interface AgentLine {
  readonly agent: string;
  /** `ready`: its first run has ended well. `applied`: a run that changed something. `restart`: kubelet was restarted. */
  readonly what: 'ready' | 'applied' | 'restart' | 'failed';
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Why it failed. */
  readonly why?: string;
}

const [folder = '', source = '', maxDelay = '0s', ...names] = process.argv.slice(2);
const say = (line: AgentLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** What is asked of the API server goes there, everything else stays on the machine. */
function netOf(own: Net, real: Net): Net {
  const wayOf = ({ url, socketPath }: HttpExchange): Net =>
    socketPath === undefined && url.startsWith('https:') ? real : own;
  return {
    ...own,
    request: (request) => wayOf(request).request(request),
    stream: (exchange) => wayOf(exchange).stream(exchange),
    download: (download) => wayOf(download).download(download),
  };
}

async function run(agent: string, signal: AbortSignal): Promise<void> {
  const machine = await createMemoryNode();
  const config = {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'AgentConfig',
    spec: {
      source,
      nodeName: agent,
      cluster: { kubeconfig: '/etc/nodekiln/agent.conf' },
      restarts: { maxDelay },
      endpoint: 'none',
    },
  };
  await machine.files.write([
    textFile('/etc/nodekiln/agent.yaml', JSON.stringify(config)),
    textFile('/etc/nodekiln/agent.conf', await readFile(join(folder, `${agent}.conf`), 'utf8')),
  ]);
  const own = machine.open();
  // One of its own, as on a machine: a host keeps the connections of a few trusts, and every agent has another.
  const real = createLinuxHost();
  const host: Host = { ...own, net: netOf(own.net, real.net), clock: real.clock };
  let isReady = false;
  await runAgentOn(host, {
    signal,
    onEvent: (event) => {
      const atMs = Date.now();
      if (
        event.type === 'step' &&
        event.event.type === 'end' &&
        event.event.record.id === 'restart unit:kubelet.service'
      )
        say({ agent, what: 'restart', atMs });
      if (event.type !== 'reconciled') return;
      const { outcome, changes } = event.report;
      if (outcome !== 'converged') say({ agent, what: 'failed', atMs, why: String(event.report.error) });
      else if (!isReady) say({ agent, what: 'ready', atMs });
      else if (changes > 0) say({ agent, what: 'applied', atMs });
      isReady ||= outcome === 'converged';
    },
  });
  await real.close();
}

const ended = new AbortController();
process.stdin.resume().on('end', () => ended.abort(new NodekilnError('NK_INTERRUPTED', 'the measurement is over')));
await Promise.all(names.map((name) => run(name, ended.signal).catch(() => undefined)));
