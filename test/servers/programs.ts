/**
 * Debian packages that tests and benchmarks need on this machine, installed when they are missing. Nothing is started by
 * an installation; one process installs at a time.
 */
import { withLock } from '../lab/cache.ts';
import { findProgram, type Prerequisite } from '../lab/prerequisites.ts';
import { run, tryRun } from '../lab/run.ts';

/** Throws with the names of what is still missing afterwards. */
export async function ensurePrograms(wanted: readonly Prerequisite[]): Promise<void> {
  if (missing(wanted).length === 0) return;
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined)
    throw new Error(`install ${packagesOf(missing(wanted))} as root; there is no apt-get here, or no right to use it`);
  await withLock('apt-get', async () => {
    const lacking = missing(wanted);
    if (lacking.length === 0) return;
    // Outside a run level services are not started.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const install = ['apt-get', 'install', '--yes', '--no-install-recommends', ...lacking.map((item) => item.package)];
    if ((await tryRun(install, { env })).status === 0) return;
    await run(['apt-get', 'update'], { env });
    await run(install, { env });
  });
  const still = missing(wanted);
  if (still.length > 0) throw new Error(`still missing after installing: ${packagesOf(still)}`);
}

function missing(wanted: readonly Prerequisite[]): readonly Prerequisite[] {
  return wanted.filter((item) => findProgram(item.program) === undefined);
}

function packagesOf(items: readonly Prerequisite[]): string {
  return items.map((item) => item.package).join(', ');
}
