/**
 * Static programs built from Go modules, with the machine's Go or with Debian trixie's in a root of its own when it has
 * none. A build says how far it is.
 */
import { chmod, cp, mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, keyHash } from './cache.ts';
import { type Meter, metered } from './meter.ts';
import type { Progress } from './prerequisites.ts';
import { findProgram } from './prerequisites.ts';
import { derivedRoot } from './root.ts';
import { run, tryRun } from './run.ts';

export interface GoBuild {
  /** What to call it, as in "kubelet v1.34.3". */
  readonly what: string;
  /** The folder with go.mod and go.sum; nothing in it is changed. */
  readonly module: string;
  readonly package: string;
  readonly ldflags: readonly string[];
  readonly output: string;
}

/** Go 1.24 is the oldest that Kubernetes 1.34 builds with; Go from 1.21 on fetches a newer one by itself. */
export async function findGo(): Promise<string | undefined> {
  const go = findProgram('go', ['/usr/local/go/bin', '/usr/lib/go/bin', join(homedir(), 'go/bin')]);
  if (go === undefined) return undefined;
  const version = /go(\d+)\.(\d+)/.exec((await tryRun([go, 'env', 'GOVERSION'])).stdout);
  return version && Number(version[1]) === 1 && Number(version[2]) >= 21 ? go : undefined;
}

export async function goBuild(build: GoBuild, progress?: Progress): Promise<void> {
  const go = await findGo();
  if (go === undefined) progress?.('this machine has no Go 1.21 or newer: using Debian trixie’s in a root of its own');
  await metered({ what: build.what, progress }, (meter) =>
    go === undefined ? buildInRoot(build, meter, progress) : buildHere(go, build, meter),
  );
}

const environment = { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' };

/** Runs go with arguments and gives back what it printed. */
type Go = (args: readonly string[], onLine: (line: string) => void) => Promise<string>;

/** What is missing, then each package that is compiled, then the link, of which go says nothing. */
async function buildWith(go: Go, { package: name, ldflags, output }: GoBuild, meter: Meter): Promise<void> {
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags', ldflags.join(' ')];
  meter.phase('fetching', { unit: 'modules' });
  const stale = await go(['list', '-deps', ...flags, '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', name], (line) => {
    if (line.startsWith('go: downloading ')) meter.advance();
  });
  const waiting = new Set(stale.split('\n').filter((line) => line !== ''));
  meter.phase('compiling', { total: waiting.size, unit: 'packages' });
  await go(['build', '-v', ...flags, '-o', output, name], (line) => {
    if (waiting.delete(line)) meter.advance();
    if (waiting.size === 0) meter.phase('linking');
  });
}

async function buildHere(go: string, build: GoBuild, meter: Meter): Promise<void> {
  const options = { cwd: build.module, env: { ...process.env, ...environment } };
  await buildWith(async (args, onLine) => (await run([go, ...args], { ...options, onLine })).stdout, build, meter);
}

const inRoot = `mount --make-rprivate /
  mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"
  mount -t tmpfs tmpfs "$0/mnt"; mkdir "$0/mnt/go"; mount --bind "$1" "$0/mnt/go"
  cp /etc/resolv.conf "$0/mnt/resolv.conf" && mount --bind "$0/mnt/resolv.conf" "$0/etc/resolv.conf"
  # The machine may trust an authority of its own that the root does not know.
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$0/mnt/authorities"
  root=$0; shift
  exec chroot "$root" sh -euc 'cd "$0"; exec go "$@"' "$@"`;

async function buildInRoot(build: GoBuild, meter: Meter, progress: Progress | undefined): Promise<void> {
  meter.phase('making a root with Go');
  const root = await derivedRoot('trixie', { packages: ['golang-go'] }, progress);
  const caches = join(cacheFolder(), 'go');
  const name = `build-${keyHash(build.output)}`;
  const dir = join(caches, name);
  await mkdir(dir, { recursive: true });
  await cp(build.module, join(dir, 'module'), { recursive: true });
  const inside = `/mnt/go/${name}`;
  const env = {
    ...process.env,
    ...environment,
    GOPATH: '/mnt/go/path',
    GOCACHE: '/mnt/go/cache',
    SSL_CERT_FILE: '/mnt/authorities',
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  };
  const go: Go = async (args, onLine) => {
    const enter = ['unshare', '--mount', 'sh', '-euc', inRoot, root, caches, `${inside}/module`];
    return (await run([...enter, ...args], { env, onLine })).stdout;
  };
  try {
    await buildWith(go, { ...build, output: `${inside}/out` }, meter);
    await cp(join(dir, 'out'), build.output);
    await chmod(build.output, 0o755);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
