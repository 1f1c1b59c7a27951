/**
 * Container images through containerd's own tool `ctr`, namespace `k8s.io`. On a running machine its containerd is asked;
 * in a root folder, and where no containerd runs, the host's containerd is started in namespaces of its own (nothing of it
 * outlives us, however we end) with a private configuration, and stopped by `close`. No unit is touched.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoOf, NodekilnError } from '../../errors.ts';
import type { Containers, Net, StoredContainerImage } from '../port.ts';

export interface LinuxContainers extends Containers {
  close(): Promise<void>;
}

const liveSocket = '/run/containerd/containerd.sock';
/** Inside the root folder. */
const privateFolder = '/run/nodekiln-containerd';
/** containerd makes it wherever its state is. */
const runtimeFolder = '/run/containerd';
const startTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;

/** `root`: where the host's `/` is in our own file system. */
export function createLinuxContainers(root: string, net: Net): LinuxContainers {
  let daemon: Promise<ChildProcess> | undefined;
  let running: Promise<string> | undefined;
  let leftovers: readonly string[] = [];
  const privateSocket = `${privateFolder}/containerd.sock`;

  /** The address of a containerd that answers; started when there is none. */
  const address = (): Promise<string> =>
    (running ??= (async () => {
      if (root === '/' && (await net.socketAnswers(liveSocket, 500))) return liveSocket;
      leftovers = [privateFolder, ...((await exists(join(root, runtimeFolder))) ? [] : [runtimeFolder])];
      await (daemon ??= startDaemon(root, net));
      return privateSocket;
    })());

  async function ctr(args: readonly string[], input?: string): Promise<string> {
    const prefix = root === '/' ? [] : ['chroot', root];
    return runFed([...prefix, 'ctr', '--address', await address(), '--namespace', 'k8s.io', ...args], input);
  }

  const list = async (): Promise<StoredContainerImage[]> => storedImages(await ctr(['images', 'list']));

  return {
    list,
    async importArchive(archive, { pin, unpack }) {
      await ctr(['images', 'import', ...(unpack ? [] : ['--no-unpack']), '-'], archive);
      const stored = await list();
      // The label by which the CRI tells kubelet never to collect an image.
      for (const { reference, pinned } of pin ? stored : [])
        if (!pinned) await ctr(['images', 'label', reference, 'io.cri-containerd.pinned=pinned']);
      return stored.map(({ reference }) => reference);
    },
    async close() {
      const started = await daemon?.catch(() => undefined);
      [daemon, running] = [undefined, undefined];
      if (started) await stopDaemon(started);
      for (const folder of leftovers) await rm(join(root, folder), { recursive: true, force: true });
      leftovers = [];
    },
  };
}

/** `REF TYPE DIGEST SIZE PLATFORMS LABELS`; the store names each image a second time by its digest. */
function storedImages(listing: string): StoredContainerImage[] {
  return listing.split('\n').flatMap((line) => {
    const [, reference, digest, rest] = /^(\S+)\s+\S+\s+(sha256:[0-9a-f]{64})\s+(.*)$/.exec(line) ?? [];
    if (reference === undefined || digest === undefined || reference.startsWith('sha256:')) return [];
    return [{ reference, digest, pinned: /\bio\.cri-containerd\.pinned=pinned\b/.test(rest ?? '') }];
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function startDaemon(root: string, net: Net): Promise<ChildProcess> {
  const folder = join(root, privateFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'config.toml'), daemonConfig);
  const argv = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child=SIGTERM',
    `--root=${root}`,
    '--mount-proc',
    'containerd',
    '--config',
    `${privateFolder}/config.toml`,
  ];
  const child = spawn('unshare', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString('utf8')).slice(-8192)));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(errnoOf(error) === 'ENOENT' ? 'unshare is not installed' : error.message));
    child.once('exit', (code) => resolve(`it ended with exit status ${code ?? 'by a signal'}`));
  });
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    if (await net.socketAnswers(join(folder, 'containerd.sock'), 500)) return child;
    const problem = await Promise.race([
      ended,
      new Promise<undefined>((resolve) => setTimeout(resolve, 50, undefined)),
    ]);
    if (problem !== undefined || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new NodekilnError(
        'NK_IMAGE_IMPORT',
        `containerd of ${root} does not start: ${problem ?? 'no answer in time'}`,
        {
          hint: 'Install containerd into the root first (a component with action `install`).',
          lines: log.trim().split('\n').slice(-10),
        },
      );
    }
  }
}

/** unshare passes no signal on; when it dies the kernel sends the daemon SIGTERM, and its end closes the pipe. */
async function stopDaemon(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, stopTimeoutMs)))]);
  clearTimeout(timer);
}

/** Only what an import needs: no CRI, hence no cgroups and no network. */
const daemonConfig = `version = 2
root = "/var/lib/containerd"
state = "${privateFolder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.restart", "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
  address = "${privateFolder}/containerd.sock"
`;

/** Runs a program with a file as its standard input. */
async function runFed(argv: readonly string[], input: string | undefined): Promise<string> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString('utf8')).slice(-8192)));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const fed =
    input === undefined
      ? Promise.resolve(void child.stdin.end())
      : pipeline(createReadStream(input), child.stdin).catch(() => undefined);
  let status;
  try {
    status = await ended;
  } catch (cause) {
    throw new NodekilnError('NK_TOOL_MISSING', `${program} cannot be run`, { cause });
  }
  await fed;
  if (status === 0) return stdout;
  throw new NodekilnError('NK_IMAGE_IMPORT', `${argv.slice(-3).join(' ')} ended with exit status ${status}`, {
    lines: `${stdout}\n${stderr}`.trim().split('\n').slice(-10),
  });
}
