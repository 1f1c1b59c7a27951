/**
 * Runs inside a host, as `test/e2e/host-conformance/program.ts` does: `expectations private|bus`, `unprivileged`. One line of JSON
 * for each check: `{name, ok, ms, error?}`, then `end`.
 */
import assert from 'node:assert/strict';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { exit } from '../../src/host/native/crossing.ts';
import { expectations, file } from '../conformance/host.ts';
import { serveHttp } from '../conformance/serve.ts';

/** An expectation that never ends fails alone. */
const deadlineMs = 20_000;

async function report(name: string, check: () => Promise<void>): Promise<void> {
  const started = performance.now();
  let error: string | undefined;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not done within ${deadlineMs} ms`)), deadlineMs);
  try {
    await Promise.race([check(), late.promise]);
  } catch (thrown) {
    error = thrown instanceof Error ? `${thrown.name}: ${thrown.message}\n${thrown.stack}` : String(thrown);
  }
  clearTimeout(timer);
  const ms = Math.round((performance.now() - started) * 10) / 10;
  process.stdout.write(
    `${JSON.stringify({ name, ok: error === undefined, ms, ...(error !== undefined && { error }) })}\n`,
  );
}

async function runExpectations(systemd: 'private' | 'bus'): Promise<void> {
  const host = createLinuxHost({ systemd });
  for (const [index, { name, needs, check }] of expectations.entries()) {
    if (needs === 'offline units') continue;
    const folder = `/var/lib/nkt/${systemd}/${index}`;
    await host.files.write([{ type: 'directory', path: folder, mode: 0o755, uid: 0, gid: 0 }]);
    await report(`${needs}: ${name}`, () => check({ host, folder, tag: systemd, serve: serveHttp }));
  }
  await host.close();
}

/** As a user without rights: looking is allowed, changing is not. */
async function runUnprivileged(): Promise<void> {
  const host = createLinuxHost();
  await report('a user may look at units', async () => {
    assert.equal((await host.units.get('dbus.service')).activeState, 'active');
  });
  await report('a user may not start units', () =>
    assert.rejects(host.units.start('dbus.service'), { code: 'NK_NOT_ROOT' }),
  );
  await report('a user may not write where root does', () =>
    assert.rejects(host.files.write([file('/etc/x', 'x')]), { code: 'NK_FILE_WRITE' }),
  );
  await host.close();
}

async function main([mode, address]: readonly (string | undefined)[]): Promise<void> {
  if (mode === 'unprivileged') await runUnprivileged();
  else await runExpectations(address === 'bus' ? 'bus' : 'private');
  process.stdout.write('end\n');
  exit(0);
}

void main(process.argv.slice(2));
