/** A lab host that was booted, and agents on it: real programs that follow folders of their own. */
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../../../src/host/digest.ts';
import type { AgentReport } from '../../../src/telemetry/agent-report.ts';
import { bakedRoot, demoFolder } from '../../demo/baked.ts';
import type { Lab, LabHost } from '../../lab/lab.ts';
import type { Suite } from '../../lab/root.ts';

export const program = '/opt/nodekiln/bin/nodekiln';

/** Booted, with nothing of ours enabled. */
export async function bootedHost(
  lab: Lab,
  name: string,
  { suite, document }: { readonly suite?: Suite; readonly document?: string } = {},
): Promise<LabHost> {
  const root = await bakedRoot(undefined, suite);
  const host = await lab.host({ name, root, seeds: ['/opt', '/var/lib/containerd'] });
  const text = document ?? (await readFile(join(demoFolder, 'node.yaml'), 'utf8'));
  await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', text, { mode: 0o600 });
  await rm(await host.path('/etc/systemd/system/multi-user.target.wants'), { recursive: true });
  await host.start();
  await host.waitRunning(30_000).catch(() => undefined);
  await host.check([program, 'boot'], { timeoutMs: 120_000 });
  return host;
}

/** What the demo's agent follows, with further items of `files`, `units`, `actions` and so on at its end. */
export async function documentWith(sections: { files?: string; units?: string; rest?: string } = {}): Promise<string> {
  const text = await readFile(join(demoFolder, 'desired.yaml'), 'utf8');
  const { files = '', units = '', rest = '' } = sections;
  const withFiles = text.replace(/^ {2}files:\n/m, `${rest}  files:\n${files}`);
  assert.ok(withFiles.includes(`${rest}  files:\n${files}`), 'the example has files');
  return `${withFiles.trimEnd()}\n${units}`;
}

export interface Agent {
  readonly unit: string;
  readonly folder: string;
  give(text: string, name?: string): Promise<void>;
  reports(): Promise<AgentReport[]>;
  /** The first report about this very text, as soon as there is one. */
  reportOn(text: string): Promise<AgentReport>;
  /** The first report that fits, as soon as there is one. */
  report(fits: (report: AgentReport) => boolean, about: string): Promise<AgentReport>;
  isRunning(): Promise<boolean>;
  /** Sends SIGTERM; resolves with how long the process took to end, in milliseconds, and its exit status. */
  terminate(): Promise<{ readonly tookMs: number; readonly status: number }>;
  log(): Promise<string>;
}

let agents = 0;

export async function startAgent(host: LabHost, folder: string): Promise<Agent> {
  agents += 1;
  const unit = `agent-${agents}.service`;
  // Remembered after its end: how and when it ended is asked for.
  const remembered = ['--remain-after-exit', '--property=Type=exec'];
  await host.check([
    'systemd-run',
    `--unit=${unit}`,
    ...remembered,
    program,
    'agent',
    '--source',
    `dir:${folder}`,
    '--json',
  ]);

  const log = (): Promise<string> =>
    host.check(['journalctl', '--unit', unit, '--output', 'cat', '--no-pager', '--all']);

  const reports = async (): Promise<AgentReport[]> =>
    (await log()).split('\n').flatMap((line): AgentReport[] => {
      if (!line.startsWith('{')) return [];
      const event = JSON.parse(line) as { kind: string; data?: AgentReport };
      return event.kind === 'AgentReport' && event.data ? [event.data] : [];
    });

  const report = async (fits: (report: AgentReport) => boolean, about: string): Promise<AgentReport> => {
    for (let waited = 0; waited < 90_000; waited += 100) {
      const found = (await reports()).find(fits);
      if (found) return found;
      await sleep(100);
    }
    throw new Error(`no report ${about} after 90 s:\n${await log()}`);
  };

  const agent: Agent = {
    unit,
    folder,
    give: (text, name = '10-node.yaml') => host.writeFile(`${folder}/${name}`, text, { mode: 0o600 }),
    reports,
    report,
    reportOn: (text) => {
      const digest = sha256(text);
      return report(({ documents }) => documents.some((each) => each.digest === digest), `on ${digest}`);
    },
    isRunning: async () => (await property(host, unit, 'SubState')) === 'running',
    terminate: async () => {
      const pid = await property(host, unit, 'MainPID');
      assert.notEqual(pid, '0', `${unit} runs`);
      // On the guest's own clock, at the moment of the signal: entering the guest takes its time.
      const sent = await host.check(['sh', '-c', `read up rest </proc/uptime; kill -TERM ${pid}; echo $up`]);
      for (let waited = 0; waited < 30_000; waited += 50) {
        const exitUsec = Number(await property(host, unit, 'ExecMainExitTimestampMonotonic'));
        if (exitUsec > 0) {
          const status = Number(await property(host, unit, 'ExecMainStatus'));
          return { tookMs: exitUsec / 1000 - Number(sent) * 1000, status };
        }
        await sleep(50);
      }
      throw new Error(`${unit} did not end within 30 s of SIGTERM`);
    },
    log,
  };
  return agent;
}

async function property(host: LabHost, unit: string, name: string): Promise<string> {
  return (await host.check(['systemctl', 'show', `--property=${name}`, '--value', unit])).trim();
}
