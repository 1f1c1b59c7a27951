/**
 * Static programs built from Go modules, with the machine's Go or with Debian trixie's in a root of its own when it has
 * none. A build says how far it is.
 */
import { chmod, cp, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
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
  /** Package by name of the program; all of them are one `go build`, so that what they share is compiled once. */
  readonly packages: Readonly<Record<string, string>>;
  readonly ldflags: readonly string[];
  /** An existing folder, which gets each program under its name. */
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

/** What is missing, then each package that is compiled, then the links, of which go says nothing. */
async function buildWith(
  go: Go,
  { packages, ldflags, output }: Omit<GoBuild, 'what' | 'module'>,
  meter: Meter,
): Promise<void> {
  const names = Object.values(packages);
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags', ldflags.join(' ')];
  meter.phase('fetching', { unit: 'modules' });
  const stale = await go(['list', '-deps', ...flags, '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', ...names], (line) => {
    if (line.startsWith('go: downloading ')) meter.advance();
  });
  // A program itself is stale until it is linked.
  const waiting = new Set(stale.split('\n').filter((line) => line !== '' && !names.includes(line)));
  if (waiting.size === 0) meter.phase('linking');
  else meter.phase('compiling', { total: waiting.size, unit: 'packages' });
  // The slash: a folder, however many programs there are.
  await go(['build', '-v', ...flags, '-o', `${output}/`, ...names], (line) => {
    if (!waiting.delete(line)) return;
    meter.advance();
    if (waiting.size === 0) meter.phase('linking');
  });
}

/** go names a program after the last element of its package's path that is no major version. */
async function takePrograms(from: string, { packages, output }: GoBuild): Promise<void> {
  for (const [name, path] of Object.entries(packages)) {
    const built = join(from, basename(path.replace(/\/v\d+$/, '')));
    const target = join(output, name);
    if (built === target) continue;
    await rename(built, target).catch(async (error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
      await cp(built, target);
    });
    await chmod(target, 0o755);
  }
}

async function buildHere(go: string, build: GoBuild, meter: Meter): Promise<void> {
  const options = { cwd: build.module, env: { ...process.env, ...environment } };
  await buildWith(async (args, onLine) => (await run([go, ...args], { ...options, onLine })).stdout, build, meter);
  await takePrograms(build.output, build);
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
    await takePrograms(join(dir, 'out'), build);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
