/** Against a server in memory that does what goes wrong with real ones, on a clock that waits for nobody. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createChance } from '../../test/support/chance.ts';
import { createKubeServer, serverAddress, things } from '../../test/support/kube-server.ts';
import type { KubeServer, Thing } from '../../test/support/kube-server.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import type { MemoryMachine } from '../host/memory/machine.ts';
import { createKubeApi } from './api.ts';
import { createKubeClient } from './client.ts';
import { createDoubt } from './doubt.ts';
import type { Doubt } from './doubt.ts';
import { startInformer } from './informer.ts';
import type { Change, Informer } from './informer.ts';

let machine: MemoryMachine;
let server: KubeServer;
let stop: AbortController;
let changes: string[];
let troubles: string[];
let putBacks: number;
let doubt: Doubt;

beforeEach(() => {
  machine = createMemoryMachine();
  server = createKubeServer(machine);
  stop = new AbortController();
  [changes, troubles, putBacks] = [[], [], 0];
  doubt = createDoubt();
});
afterEach(() => stop.abort());

function start(onChange: (change: Change<Thing>) => void = noted, keep?: (thing: Thing) => Thing): Informer<Thing> {
  const host = machine.open();
  const api = createKubeApi(createKubeClient(host, { server: serverAddress }), host.clock);
  return startInformer<Thing>({
    api,
    clock: host.clock,
    resource: things,
    signal: stop.signal,
    doubt,
    random: () => 0,
    onChange,
    ...(keep && { keep }),
    onTrouble: (trouble) => troubles.push(trouble instanceof Error ? trouble.message : String(trouble)),
    onPutBack: () => (putBacks += 1),
    indexes: { letter: ({ value }) => [...new Set(value)], first: ({ value }) => value.slice(0, 1).split('') },
  });
}

function noted(change: Change<Thing>): void {
  const { type, object } = change;
  const before = type === 'modified' ? `${change.before.value}→` : '';
  changes.push(`${type} ${object.metadata.name} ${before}${object.value}`);
}

const pass = (ms: number): Promise<void> => machine.clock.sleep(ms);
const asked = (): string[] => server.asked.map(({ what }) => what);
const known = ({ objects }: Informer<Thing>): Record<string, string> =>
  Object.fromEntries([...objects].map(([key, { value }]) => [key, value]));

describe('an informer', () => {
  it('keeps of each object what it is told to, and tells that', async () => {
    server.put('a', '1');
    const informer = start(noted, ({ metadata, value }) => ({ metadata, value: `${value} kept` }));
    await informer.synced;
    server.put('a', '2');
    await pass(10);
    assert.deepEqual(known(informer), { 'here/a': '2 kept' });
    assert.deepEqual(changes, ['added a 1 kept', 'modified a 1 kept→2 kept']);
  });

  it('knows what is there and tells each change once, with what was before', async () => {
    server.put('a', '1');
    const informer = start();
    assert.equal(informer.isSynced, false);
    await informer.synced;
    assert.deepEqual([informer.isSynced, known(informer)], [true, { 'here/a': '1' }]);
    server.put('b', '1');
    server.put('a', '2');
    server.delete('b');
    await pass(10);
    assert.deepEqual(changes, ['added a 1', 'added b 1', 'modified a 1→2', 'deleted b 1']);
    assert.deepEqual(known(informer), { 'here/a': '2' });
    assert.deepEqual(asked(), ['list', 'watch 2']);
  });

  it('reads long lists page by page', async () => {
    for (let index = 0; index < 1001; index++) server.put(`thing-${index}`, '');
    const informer = start();
    await informer.synced;
    assert.equal(informer.objects.size, 1001);
    assert.deepEqual(asked().slice(0, 3), ['list', 'list continue', 'list continue']);
  });

  it('begins a list again whose version is gone before its end', async () => {
    for (let index = 0; index < 501; index++) server.put(`thing-${index}`, '');
    let gone = 1;
    server.instead = (what) => (what === 'list continue' && gone-- > 0 ? { status: 410, body: '{}' } : undefined);
    const informer = start();
    await informer.synced;
    assert.equal(informer.objects.size, 501);
    assert.deepEqual([asked().slice(0, 4), troubles], [['list', 'list continue', 'list', 'list continue'], []]);
  });

  it('has an index equal to one made anew, whatever the news were', async (context) => {
    const chance = createChance(context);
    const letters = ['a', 'b', 'c', 'd'] as const;
    const informer = start(() => undefined);
    await informer.synced;
    const copies = [server.save()];
    const news: readonly [() => void, ...(() => void)[]] = [
      () => server.put(chance.pick(letters), Array.from({ length: 3 }, () => chance.pick(letters)).join('')),
      () => server.put(chance.pick(letters), ''),
      () => server.delete(chance.pick(letters)),
      () => connections((connection) => connection.end('cut')),
      () => {
        server.forget();
        connections((connection) => connection.end('cut'));
      },
      () => void copies.push(server.save()),
      () => {
        server.restore(chance.pick(copies as [(typeof copies)[0]]));
        doubt.raise();
      },
    ];
    for (let turn = 0; turn < 300; turn++) {
      chance.pick(news)();
      await pass(chance.next() * 300);
      const there = [...informer.objects.values()];
      for (const letter of letters) {
        const names = (index: string): string[] =>
          informer
            .byIndex(index, letter)
            .map(({ metadata }) => metadata.name)
            .sort();
        const wanted = (has: (value: string) => boolean): string[] =>
          there.flatMap(({ metadata, value }) => (has(value) ? [metadata.name] : [])).sort();
        assert.deepEqual(
          names('letter'),
          wanted((value) => value.includes(letter)),
        );
        assert.deepEqual(
          names('first'),
          wanted((value) => value.startsWith(letter)),
        );
      }
    }
    assert.throws(() => informer.byIndex('none', 'a'), { code: 'NK_INTERNAL' });
  });

  it('tells of another object of the same name as of two', async () => {
    server.put('a', '1');
    await start().synced;
    await pass(10);
    server.stop();
    server.delete('a');
    server.put('a', '2');
    server.forget();
    server.start();
    await pass(10_000);
    assert.deepEqual(changes, ['added a 1', 'deleted a 1', 'added a 2']);
  });

  it('ends by its signal in every wait, with nothing left open', async () => {
    const informer = start();
    await informer.synced;
    await pass(10);
    assert.equal(server.open.size, 1);
    stop.abort();
    await informer.done;
    assert.equal(server.open.size, 0);
    const requests = server.asked.length;
    await pass(600_000);
    assert.equal(server.asked.length, requests);

    stop = new AbortController();
    server.stop();
    const unanswered = start();
    await pass(50);
    stop.abort();
    await unanswered.done;
    await assert.rejects(unanswered.synced, { code: 'NK_INTERRUPTED' });
  });

  it('ends when whoever is told throws', async () => {
    server.put('a', '1');
    const informer = start(() => {
      throw new Error('a defect');
    });
    await assert.rejects(informer.done, /a defect/);
    await assert.rejects(informer.synced, /a defect/);
    assert.equal(server.open.size, 0);
  });
});

interface Fault {
  readonly name: string;
  /** What happens after `a` was listed and is watched; `lost` is put meanwhile. */
  readonly happens: () => void | Promise<void>;
  /** What is asked after that, within `withinMs`. */
  readonly asks: readonly string[];
  readonly withinMs?: number;
  readonly trouble: RegExp | undefined;
  /** It is told that the server’s state is an earlier one. */
  readonly isPutBack?: boolean;
}

const connections = (work: (connection: KubeServer['open'] extends ReadonlySet<infer C> ? C : never) => void): void => {
  for (const connection of server.open) work(connection);
};
/** Answers to the next requests, then none. */
const answers = (...list: readonly { status: number; headers?: Record<string, string>; body?: string }[]): void => {
  const left = [...list];
  server.instead = () => left.shift();
};

const faults: readonly Fault[] = [
  {
    name: 'the connection is cut: goes on from the last version',
    happens: () => {
      connections((connection) => connection.end('cut'));
      server.put('lost', 'x');
    },
    asks: ['watch 2'],
    trouble: /reset/,
  },
  {
    name: 'the server ends the watch in its time: goes on without a word',
    happens: async () => {
      await pass(299_000);
      server.put('lost', 'x');
    },
    asks: ['watch 3'],
    trouble: undefined,
  },
  {
    name: 'old versions are forgotten, and a bookmark told of a later one: goes on from there',
    happens: async () => {
      server.elsewhere();
      server.bookmark();
      await pass(10);
      server.forget();
      connections((connection) => connection.end('cut'));
      server.put('lost', 'x');
    },
    asks: ['watch 3'],
    trouble: /reset/,
  },
  {
    name: 'the connection is half open: lists again',
    happens: async () => {
      server.bookmark();
      await pass(10);
      connections((connection) => connection.silence());
      server.put('lost', 'x');
    },
    asks: ['list', 'watch 3'],
    withinMs: 130_000,
    trouble: /within 120000 ms/,
  },
  {
    name: 'the connection brings nothing from the start: lists again',
    happens: () => {
      connections((connection) => connection.silence());
      server.put('lost', 'x');
    },
    asks: ['list', 'watch 3'],
    withinMs: 130_000,
    trouble: /within 120000 ms/,
  },
  {
    name: 'the version is gone, as an event: lists again',
    happens: () => {
      server.stop();
      server.put('lost', 'x');
      server.forget();
      server.start();
    },
    asks: ['watch 2', 'list', 'watch 3'],
    trouble: /410 \(Expired\)/,
  },
  {
    name: 'the version is gone, as a status: lists again',
    happens: () => {
      answers({ status: 410, body: '{"reason":"Gone"}' });
      connections((connection) => connection.end('cut'));
      server.put('lost', 'x');
    },
    asks: ['watch 2', 'list', 'watch 3'],
    trouble: /status 410/,
  },
  {
    name: 'an error instead of an event: goes on',
    happens: () => {
      connections((connection) => {
        connection.push('{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n');
        connection.silence();
      });
      server.put('lost', 'x');
    },
    asks: ['watch 2'],
    trouble: /status 500 \(InternalError\)/,
  },
  ...[
    'garbage\n',
    '{"type":"ADDED","object":{"metadata":{}}}\n',
    '{"type":"WHAT","object":{"metadata":{"resourceVersion":"9"}}}\n',
  ].map((line): Fault => ({
    name: `what makes no sense (${line.trim()}): goes on`,
    happens: () => {
      connections((connection) => {
        connection.push(line);
        connection.silence();
      });
      server.put('lost', 'x');
    },
    asks: ['watch 2'],
    trouble: /no event/,
  })),
  {
    name: 'half an event, and the end: goes on',
    happens: () => {
      connections((connection) => {
        connection.push('{"type":"DELETED","object":{"metadata":{"name":"a"');
        connection.end('end');
      });
      server.put('lost', 'x');
    },
    asks: ['watch 2'],
    trouble: undefined,
  },
  {
    name: 'a line without end: goes on',
    happens: () => {
      connections((connection) => {
        for (let megabyte = 0; megabyte < 9; megabyte++) connection.push(' '.repeat(1024 * 1024));
        connection.silence();
      });
      server.put('lost', 'x');
    },
    asks: ['watch 2'],
    trouble: /longer than/,
  },
  {
    name: 'too many requests: asks again when the server said, not before',
    happens: async () => {
      answers({ status: 429, headers: { 'retry-after': '20' } });
      connections((connection) => connection.end('cut'));
      server.put('lost', 'x');
      await pass(20_000);
      assert.deepEqual(asked().slice(2), ['watch 2']);
    },
    asks: ['watch 2', 'watch 2'],
    trouble: /status 429/,
  },
  {
    name: 'an internal error, again and again: pauses grow',
    happens: async () => {
      answers(...Array.from({ length: 6 }, () => ({ status: 500 })));
      connections((connection) => connection.end('cut'));
      server.put('lost', 'x');
      await pass(20_000);
      const times = server.asked.slice(2).map(({ atMs }) => atMs);
      assert.deepEqual(
        times.slice(1).map((time, index) => time - (times[index] ?? 0)),
        [200, 400, 800, 1600, 3200, 6400, 0],
      );
    },
    asks: ['watch 2', ...Array.from({ length: 6 }, () => 'list'), 'watch 3'],
    trouble: /status 500/,
  },
  {
    name: 'the server is away for ten minutes: what is known stays known, and it is found again',
    happens: async () => {
      server.stop();
      server.put('lost', 'x');
      await pass(600_000);
      server.start();
    },
    asks: ['list', 'watch 3'],
    withinMs: 31_000,
    trouble: /refused/,
  },
  {
    name: 'the server goes back to an older copy, and says so: lists again',
    happens: async () => {
      const copy = server.save();
      server.put('b', 'x');
      await pass(10);
      server.restore(copy);
      server.bookmark();
      connections((connection) => connection.silence());
      server.put('lost', 'x');
    },
    asks: ['list', 'watch 3'],
    trouble: /gone back/,
    isPutBack: true,
  },
  {
    name: 'the server goes back to an older copy, and says nothing: lists again',
    happens: async () => {
      const copy = server.save();
      server.put('b', 'x');
      server.put('b', 'y');
      await pass(10);
      server.stop();
      server.restore(copy);
      server.start();
      server.put('lost', 'x');
    },
    asks: ['watch 4', 'list', 'watch 3'],
    withinMs: 130_000,
    trouble: /within 120000 ms/,
    isPutBack: true,
  },
  {
    name: 'the server is another after a cut, refuses at first and has got further: lists again',
    happens: async () => {
      const copy = server.save();
      server.put('a', 'gone');
      await pass(10);
      answers({ status: 403 }, { status: 429 });
      connections((connection) => connection.end('cut'));
      server.restore(copy);
      for (const value of ['w', 'v', 'x']) server.put('lost', value);
    },
    asks: ['watch 3', 'list', 'list', 'watch 5'],
    trouble: /status 403/,
    isPutBack: true,
  },
  {
    name: 'the server goes back to an older copy, and has got further since: lists again',
    happens: async () => {
      const copy = server.save();
      server.put('a', 'gone');
      await pass(10);
      server.stop();
      server.restore(copy);
      server.put('lost', 'w');
      server.put('lost', 'v');
      server.put('lost', 'x');
      await pass(2000);
      server.start();
      answers({ status: 403 });
    },
    asks: ['list', 'list', 'watch 5'],
    trouble: /refused/,
    isPutBack: true,
  },
  {
    name: 'the server goes back to an older copy under an open connection, and somebody else sees it: lists again',
    happens: async () => {
      const copy = server.save();
      server.put('b', 'x');
      server.put('b', 'y');
      await pass(10);
      server.restore(copy);
      server.put('lost', 'x');
      doubt.raise();
    },
    asks: ['list', 'watch 3'],
    trouble: /may have gone back/,
    isPutBack: true,
  },
  {
    name: 'somebody doubts the server without need, while it is listed and while it is waited for: lists again',
    happens: async () => {
      doubt.raise();
      server.instead = (what) => {
        if (what !== 'list') return undefined;
        server.instead = undefined;
        doubt.raise();
        return undefined;
      };
      await pass(5000);
      connections((connection) => connection.end('cut'));
      await pass(1);
      doubt.raise();
      server.put('lost', 'x');
    },
    asks: ['list', 'list', 'watch 2', 'list', 'watch 3'],
    trouble: /may have gone back/,
  },
  {
    name: 'the server is away and goes back to an older copy meanwhile, and says nothing: lists again at once',
    happens: async () => {
      const copy = server.save();
      server.put('b', 'x');
      server.put('b', 'y');
      await pass(10);
      server.stop();
      server.restore(copy);
      await pass(2000);
      server.start();
      server.put('lost', 'x');
    },
    asks: ['list', 'watch 3'],
    trouble: /refused/,
    isPutBack: true,
  },
];

describe('an informer holds out when', () => {
  for (const { name, happens, asks, withinMs = 10_000, trouble, isPutBack = false } of faults)
    it(name, async () => {
      server.put('a', '1');
      const informer = start();
      await informer.synced;
      await pass(10);
      await happens();
      await pass(withinMs);
      assert.deepEqual(asked().slice(2), asks);
      assert.deepEqual(known(informer), { 'here/a': '1', 'here/lost': 'x' });
      server.put('a', '2');
      await pass(10);
      assert.deepEqual(known(informer), { 'here/a': '2', 'here/lost': 'x' });
      assert.equal(changes.filter((change) => change === 'added lost x').length, 1);
      assert.equal(server.open.size, 1);
      assert.equal(putBacks, isPutBack ? 1 : 0);
      if (trouble) assert.match(troubles.join('\n'), trouble);
      else assert.deepEqual(troubles, []);
    });

  it('every connection brings an event and is cut: pauses grow, and begin anew after one that lasted', async () => {
    await start().synced;
    await pass(10);
    for (let turn = 0; turn < 7; turn++) {
      const before = server.asked.length;
      server.put('a', String(turn));
      connections((connection) => connection.end('cut'));
      while (server.asked.length === before) await pass(50);
      await pass(10);
    }
    const gaps = (from: number): number[] => {
      const times = server.asked.slice(from).map(({ atMs }) => atMs);
      return times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) / 100) * 100);
    };
    assert.deepEqual(gaps(1), [100, 200, 400, 800, 1600, 3200, 6400]);
    await pass(60_000);
    const last = server.asked.length - 1;
    connections((connection) => connection.end('cut'));
    await pass(150);
    assert.equal(server.asked.length, last + 2, 'at once');
  });

  it('the first list is refused', async () => {
    server.put('a', '1');
    answers({ status: 403, body: '{"reason":"Forbidden","message":"hunter2"}' }, { status: 503 });
    const informer = start();
    await informer.synced;
    assert.deepEqual(known(informer), { 'here/a': '1' });
    assert.match(troubles.join('\n'), /status 403 \(Forbidden\)\n.*status 503$/);
    assert.doesNotMatch(troubles.join('\n'), /hunter2/);
  });
});
