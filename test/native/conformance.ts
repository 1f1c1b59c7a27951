/**
 * The expectations of the port `Host`, run by the host program itself: `conformance FOLDER [name part]`. One line of JSON for each,
 * `{name, ok, ms, error?}`; then one with what the process used.
 */
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { exit, now } from '../../src/host/native/crossing.ts';
import { expectations } from '../conformance/host.ts';
import { serveHttp } from '../conformance/serve.ts';

const [scratch = '/var/tmp', ...words] = process.argv.slice(2);
const only = words.filter((word) => !word.startsWith('--'));
const groups = ['a root folder', 'this machine'] as const;
const needsOf: Readonly<Record<(typeof groups)[number], (needs: string, name: string) => boolean>> = {
  // Programs run in the root by chroot, and there are none in an empty folder.
  'a root folder': (needs, name) => needs !== 'live units' && (needs !== 'exec' || name.includes('does not exist')),
  'this machine': (needs) =>
    ['files', 'state', 'exec', 'clock', 'net', 'archives', 'signatures'].includes(needs) ||
    (words.includes('--units') && needs === 'live units'),
};

function print(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** An expectation that never ends fails alone. */
const deadlineMs = 20_000;

async function main(): Promise<void> {
  for (const group of groups)
    for (const [index, { name, needs, check }] of expectations.entries()) {
      const full = `${group}: ${needs}: ${name}`;
      if (!needsOf[group](needs, name) || only.some((word) => !full.includes(word))) continue;
      const started = performance.now();
      const root = `${scratch}/${group === 'this machine' ? 'l' : 'f'}${index}`;
      now('mkdirNow', root, 0o755);
      const host = group === 'this machine' ? createLinuxHost() : createLinuxHost({ root });
      const folder = group === 'this machine' ? root : '/var/empty';
      let error: string | undefined;
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(() => late.reject(new Error(`not done within ${deadlineMs} ms`)), deadlineMs);
      try {
        await Promise.race([check({ host, folder, tag: 'n', serve: serveHttp }), late.promise]);
      } catch (thrown) {
        error = thrown instanceof Error ? `${thrown.name}: ${thrown.message}\n${thrown.stack}` : String(thrown);
      }
      clearTimeout(timer);
      await host.close();
      const ms = Math.round((performance.now() - started) * 10) / 10;
      print({ name: full, ok: error === undefined, ms, ...(error !== undefined && { error }) });
    }
  const [cpuMs, peakKiB] = JSON.parse(now<string>('usage'));
  print({ cpuMs, peakMB: peakKiB / 1024 });
  exit(0);
}

void main();
