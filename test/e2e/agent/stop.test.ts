/** SIGTERM ends the agent within a second, in every wait, and the machine is taken up where it was. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { bootedHost, documentWith, startAgent, type Agent } from './agent-host.ts';

const limitMs = 1000;
const port = 8099;

/** Connections are made, and nobody says anything on them. */
const silentServer = [
  'systemd-run',
  '--unit=silent',
  `--socket-property=ListenStream=127.0.0.1:${port}`,
  '/bin/sleep',
  'infinity',
];

const hangingUnit = `    - name: agent-hangs.service
      content: |
        [Service]
        Type=notify
        ExecStart=/bin/sleep infinity
      state: started
      deadline: 10m
`;
const slowToStop = `    - name: agent-slow.service
      content: |
        [Service]
        ExecStart=/bin/sleep infinity
        ExecStop=/bin/sleep 60
        TimeoutStopSec=60
      state: started
`;
const hangingAction = `  actions:
    - name: hangs
      argv: [/bin/sleep, "600"]
      timeout: 10m
      guard: { path: /run/never }
`;
const hangingGuard = `  actions:
    - name: hangs
      argv: [/bin/true]
      guard: { command: [/bin/sleep, "600"] }
`;

describe('SIGTERM', { concurrency: 1 }, () => {
  let lab: Lab;
  let host: LabHost;
  let count = 0;

  before(async () => {
    lab = await openLab();
    host = await bootedHost(lab, 'stop');
    await host.check(silentServer);
  });
  after(() => lab?.close());

  /** An agent on a folder of its own with this document. */
  async function agentOn(text: string | undefined): Promise<Agent> {
    count += 1;
    const folder = `/etc/nodekiln/desired-${count}`;
    await host.check(['mkdir', '-p', folder]);
    if (text !== undefined) await host.writeFile(`${folder}/10-node.yaml`, text, { mode: 0o600 });
    return startAgent(host, folder);
  }

  async function endsInTime(agent: Agent): Promise<void> {
    const { tookMs, status } = await agent.terminate();
    assert.equal(status, 0, await agent.log());
    assert.ok(tookMs < limitMs, `${tookMs} ms`);
  }

  /** Until the log says that this step runs, or processes of this name do. */
  async function runs(about: string, test: () => Promise<boolean>): Promise<void> {
    for (let waited = 0; waited < 30_000; waited += 100) {
      if (await test()) return;
      await sleep(100);
    }
    throw new Error(`${about} was not waited for within 30 s`);
  }
  const sleeps = async (): Promise<boolean> => (await host.exec(['pgrep', '--full', '^/bin/sleep 600$'])).status === 0;
  const unitIs = (unit: string, state: string) => async (): Promise<boolean> =>
    (await host.check(['systemctl', 'show', '--property=ActiveState', '--value', unit])).trim() === state;

  test('while it watches', { timeout: 60_000 }, async () => {
    const agent = await agentOn(undefined);
    await agent.report(() => true, 'at the start');
    await endsInTime(agent);
  });

  test('while it waits to try again', { timeout: 60_000 }, async () => {
    const agent = await agentOn('kind: Nothing\n');
    await agent.report(({ outcome, reasons }) => outcome === 'failed' && reasons.includes('retry'), 'of a retry');
    await endsInTime(agent);
  });

  test('while it waits for a unit, and while another waits for the lock', { timeout: 90_000 }, async () => {
    const joining = await agentOn(await documentWith({ units: hangingUnit }));
    await runs('the unit', unitIs('agent-hangs.service', 'activating'));
    const waiting = await agentOn(undefined);
    await sleep(1500);
    assert.deepEqual(await waiting.reports(), [], 'the lock is held');
    await endsInTime(waiting);
    await endsInTime(joining);
    await host.check(['systemctl', 'stop', 'agent-hangs.service']);
  });

  test('while it waits for a unit to stop', { timeout: 90_000 }, async () => {
    const text = await documentWith({ units: slowToStop });
    const agent = await agentOn(text);
    assert.equal((await agent.reportOn(text)).outcome, 'converged');
    await agent.give(await documentWith());
    await runs('the stop', unitIs('agent-slow.service', 'deactivating'));
    await endsInTime(agent);
    await host.check(['systemctl', 'kill', '--signal=KILL', 'agent-slow.service']);
  });

  test('while it waits for a download', { timeout: 90_000 }, async () => {
    const tool = `      crictl:\n        version: 1.34.0\n        url: http://127.0.0.1:${port}/crictl\n`;
    const agent = await agentOn((await documentWith()).replace('    tools:\n', `    tools:\n${tool}`));
    // The server's end of an established connection, as the kernel lists it.
    const connected = new RegExp(`:${port.toString(16).toUpperCase()} [0-9A-F]+:[0-9A-F]+ 01 `);
    await runs('the download', async () => connected.test(await host.check(['cat', '/proc/net/tcp'])));
    await endsInTime(agent);
  });

  test('while a command runs', { timeout: 90_000 }, async () => {
    const agent = await agentOn(await documentWith({ rest: hangingAction }));
    await runs('the command', sleeps);
    await endsInTime(agent);
    assert.equal(await sleeps(), false, 'the command ends with it');
  });

  test('while it asks whether a command is due', { timeout: 90_000 }, async () => {
    const agent = await agentOn(await documentWith({ rest: hangingGuard }));
    await runs('the guard', sleeps);
    await endsInTime(agent);
  });

  test('while a document is being written', { timeout: 90_000 }, async () => {
    const agent = await agentOn(undefined);
    await agent.report(() => true, 'at the start');
    const path = `${agent.folder}/10-node.yaml`;
    const writer = host.spawn(['sh', '-c', `while :; do echo '#' >>${path}; sleep 0.01; done`], { stdio: 'ignore' });
    await sleep(500);
    await endsInTime(agent);
    writer.kill('SIGKILL');
  });
});
