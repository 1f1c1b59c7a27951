import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryMachine } from '../host/memory/machine.ts';
import { createKubeApi } from '../kube/api.ts';
import { createKubeClient } from '../kube/client.ts';
import { createEvents } from './events.ts';

const server = 'https://10.0.0.1:6443';

for (const [said, shown] of [
  ['a unit says \u001b[31mred', String.raw`a unit says \u001b[31mred`],
  ['two\nlines', String.raw`two\nlines`],
  ['a return\rover', String.raw`a return\rover`],
  ['a bell \u0007 and C1 \u009b31m', String.raw`a bell \u0007 and C1 \u009b31m`],
  ['turned \u202e around', String.raw`turned \u202e around`],
  ['containerd is restarted', 'containerd is restarted'],
] as const)
  test(`an event says ${shown}`, async () => {
    const machine = createMemoryMachine();
    const { net, clock, program } = machine.open();
    const api = createKubeApi(createKubeClient({ net, clock, program }, { server, token: 'a' }), clock);
    const sent = Promise.withResolvers<string>();
    machine.serve(server, ({ body }) => {
      sent.resolve(String(body));
      return { status: 201, body: '{}' };
    });
    const say = createEvents({
      api,
      clock,
      nodeName: 'node-1',
      nodeUid: () => undefined,
      signal: new AbortController().signal,
    });
    say({ type: 'Warning', reason: 'Tried', message: said });
    const { message } = JSON.parse(await sent.promise) as { message: string };
    assert.equal(message, shown);
  });
