/** Ends in one way of those that `ends.test.ts` asks for: `ends WAY [FILE]`. */
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { program } from '../../src/host/native/program.ts';
import { DatabaseSync } from '../../src/host/native/node/sqlite.ts';

const [way = '', file = ''] = program.arguments;

/** Until the engine has no more. */
function takeMemory(): never {
  const all: string[] = [];
  for (;;) all.push('x'.repeat(1 << 20) + all.length);
}

async function openDescriptors(host: ReturnType<typeof createLinuxHost>): Promise<number> {
  return (await host.files.list('/proc/self/fd')).length;
}

const ways: Readonly<Record<string, () => unknown>> = {
  idle: () => {
    program.onIdle(() => void program.stdout.write('a last word\n').then(() => program.exit(3)));
    return new Promise(() => undefined);
  },
  'idle-unheard': () => new Promise(() => undefined),
  thrown: () => {
    throw new TypeError('a defect');
  },
  rejected: () => void Promise.reject(new TypeError('a defect')),
  timer: () =>
    void setTimeout(() => {
      throw new TypeError('a defect');
    }, 1),
  memory: takeMemory,
  'memory-caught': async () => {
    try {
      takeMemory();
    } catch (thrown) {
      await program.stdout.write(`${String(thrown)}\n`);
    }
    program.exit(0);
  },
  'memory-in-transaction': () => {
    const database = new DatabaseSync(file);
    database.exec('create table t (n integer); insert into t values (1)');
    database.exec('begin immediate; insert into t values (2)');
    takeMemory();
  },
  levels: async () => {
    try {
      JSON.parse('['.repeat(1_000_000));
    } catch (thrown) {
      await program.stdout.write(`${(thrown as Error).name}\n`);
    }
    program.exit(0);
  },
  signal: async () => {
    program.onSignal((signal) => void program.stdout.write(`${signal}\n`).then(() => program.exit(5)));
    await program.stdout.write('waits\n');
    await createLinuxHost().exec.run(['/bin/sleep', '60'], { timeoutMs: 60_000 });
  },
  descriptors: async () => {
    const host = createLinuxHost();
    const before = await openDescriptors(host);
    for (let round = 0; round < 50; round += 1) {
      await host.files.read('/etc/hostname');
      await host.files.read('/etc/none-such');
      const opened = await host.files.open('/etc/passwd');
      await opened?.close();
      const controller = new AbortController();
      const run = host.exec.run(['/bin/sleep', '60'], { timeoutMs: 60_000, signal: controller.signal });
      controller.abort(new Error('enough'));
      await run.catch(() => undefined);
      new DatabaseSync(':memory:').close();
    }
    await host.close();
    await program.stdout.write(`${before} ${await openDescriptors(host)}\n`);
    program.exit(0);
  },
};

void ways[way]?.();
