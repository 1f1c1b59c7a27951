/**
 * Container images: what is stored is read from containerd's files where none runs, what is imported goes through its own tool `ctr`,
 * namespace `k8s.io`. On a running machine its containerd does that; in a root folder, and where no containerd runs, the
 * host's containerd is started in namespaces of its own (nothing of it outlives us, however we end; that of a root folder in
 * a sandbox) with a private configuration, and stopped by `close`. No unit is touched.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { errnoOf, NodekilnError } from '../../errors.ts';
import { bytesOf } from '../../model/bytes.ts';
import { storedImages } from '../containerd-store.ts';
import { missingProgram } from '../program-packages.ts';
import { rootCommand } from './root-exec.ts';
import { requireSandbox } from './sandbox/sandbox.ts';
import type { Containers, Host, StoredContainerImage } from '../port.ts';

export interface LinuxContainers extends Containers {
  close(): Promise<void>;
}

const liveSocket = '/run/containerd/containerd.sock';
const privateFolder = '/run/nodekiln-containerd';
const privateSocket = `${privateFolder}/containerd.sock`;
/** containerd makes it wherever its state is. */
const runtimeFolder = '/run/containerd';
const startTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;

type ContainersHost = Pick<Host, 'root' | 'files' | 'net'>;

/** Nothing is started before it is asked for; `close` ends what was. */
export function createLinuxContainers(host: ContainersHost): LinuxContainers {
  const { root, files, net } = host;
  let daemon: Promise<ChildProcess> | undefined;
  let running: Promise<string> | undefined;
  let leftovers: readonly string[] = [];

  /** The address of a containerd that answers; started when there is none. */
  const address = (): Promise<string> =>
    (running ??= (async () => {
      if (root === '/' && (await net.socketAnswers(liveSocket, 500))) return liveSocket;
      leftovers = [privateFolder, ...((await files.stat(runtimeFolder)) ? [] : [runtimeFolder])];
      await (daemon ??= startDaemon(host));
      return privateSocket;
    })());

  async function ctr(args: readonly string[], input?: string): Promise<string> {
    return runFed(commandIn(root, ['ctr', '--address', await address(), '--namespace', 'k8s.io', ...args]), input);
  }

  /** Who writes the store is asked; what nobody writes can be read. */
  const list = async (): Promise<StoredContainerImage[]> =>
    root === '/' && (await net.socketAnswers(liveSocket, 500))
      ? listedImages(await ctr(['images', 'list']))
      : storedImages(files);

  return {
    list,
    async importArchive(archive, { pin, unpack }) {
      const unpacked = unpack && (await unpacks(() => ctr(['images', 'import', '-'], archive)));
      if (!unpacked) await ctr(['images', 'import', '--no-unpack', '-'], archive);
      const stored = await list();
      // The label by which the CRI tells kubelet never to collect an image.
      for (const { reference, pinned } of pin ? stored : [])
        if (!pinned) await ctr(['images', 'label', reference, 'io.cri-containerd.pinned=pinned']);
      return { references: stored.map(({ reference }) => reference), unpacked };
    },
    async close() {
      const started = await daemon?.catch(() => undefined);
      [daemon, running] = [undefined, undefined];
      if (started) await stopDaemon(started);
      for (const folder of leftovers) await files.removeTree(folder);
      leftovers = [];
    },
  };
}

/** `REF TYPE DIGEST SIZE PLATFORMS LABELS`; the store names each image a second time by its digest. */
function listedImages(listing: string): StoredContainerImage[] {
  return listing.split('\n').flatMap((line) => {
    const [, reference, digest, rest] = /^(\S+)\s+\S+\s+(sha256:[0-9a-f]{64})\s+(.*)$/.exec(line) ?? [];
    if (reference === undefined || digest === undefined || reference.startsWith('sha256:')) return [];
    return [{ reference, digest, pinned: /\bio\.cri-containerd\.pinned=pinned\b/.test(rest ?? '') }];
  });
}

/** A root's own programs see that root alone, and have no rights beside it. */
function commandIn(root: string, argv: readonly string[]): string[] {
  if (root !== '/') requireSandbox(argv, 'importer');
  return root === '/' ? [...argv] : rootCommand(root, { who: 'importer' }, argv);
}

/** False where an importer of a root may not write what a layer holds; the first container's start unpacks it then. */
async function unpacks(importing: () => Promise<unknown>): Promise<boolean> {
  try {
    await importing();
    return true;
  } catch (thrown) {
    const lines = thrown instanceof NodekilnError ? thrown.lines.join('\n') : '';
    if (/operation not permitted/i.test(lines)) return false;
    throw thrown;
  }
}

async function startDaemon({ root, files, net }: ContainersHost): Promise<ChildProcess> {
  const owner = { uid: 0, gid: 0 };
  await files.write([
    { type: 'directory', path: privateFolder, mode: 0o700, ...owner },
    { type: 'file', path: `${privateFolder}/config.toml`, content: bytesOf(daemonConfig), mode: 0o600, ...owner },
  ]);
  const socket = await files.realPath(privateSocket);
  const daemon = ['containerd', '--config', `${privateFolder}/config.toml`];
  const own = ['--mount', '--pid', '--fork', '--kill-child=SIGTERM', '--mount-proc'];
  const [program = '', ...argv] = root === '/' ? ['unshare', ...own, ...daemon] : commandIn(root, daemon);
  const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString('utf8')).slice(-8192)));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(errnoOf(error) === 'ENOENT' ? 'unshare is not installed' : error.message));
    child.once('exit', (code) => resolve(`it ended with exit status ${code ?? 'by a signal'}`));
  });
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    if (await net.socketAnswers(socket, 500)) return child;
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
  address = "${privateSocket}"
`;

/** Runs a program with a file of our own file system as its standard input. */
async function runFed(argv: readonly string[], input = '/dev/null'): Promise<string> {
  const [program = '', ...args] = argv;
  const fed = await open(input, 'r');
  try {
    const child = spawn(program, args, { stdio: [fed.fd, 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString('utf8')).slice(-8192)));
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    }).catch((cause: unknown) => {
      throw missingProgram(program, { cause });
    });
    if (status === 0) return stdout;
    throw new NodekilnError('NK_IMAGE_IMPORT', `${argv.slice(-3).join(' ')} ended with exit status ${status}`, {
      lines: `${stdout}\n${stderr}`.trim().split('\n').slice(-10),
    });
  } finally {
    await fed.close();
  }
}
