/**
 * A machine in memory that can become a node: containerd as its packages leave it, two cached versions of kubelet and kubectl, modules to load.
 * kubelet answers its healthz while its unit is active. What a test breaks of it is its own affair.
 */
import { cachedPath, writeEntry } from '../../src/artifacts/cache/cache.ts';
import { sha256 } from '../../src/host/digest.ts';
import { createMemoryMachine, type MemoryMachine } from '../../src/host/memory/machine.ts';
import type { FileWrite } from '../../src/host/port.ts';

export const healthz = 'http://127.0.0.1:10248';
const containerdSocket = '/run/containerd/containerd.sock';
const versions = ['1.34.3', '1.34.4'];

export function textFile(path: string, text: string, mode = 0o600): FileWrite {
  return { type: 'file', path, content: Buffer.from(text), mode, uid: 0, gid: 0 };
}

/** A NodeConfig as JSON, of which a boot loads no YAML library; `spec` over what every node of these tests has. */
export function nodeDocument(spec: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: {
      kubernetes: { version: '1.34.3' },
      ...spec,
    },
  });
}

/** `documents`: in the boot's folder, by name. `beside`: a machine whose clock is its clock. */
export async function createMemoryNode(
  documents: Readonly<Record<string, string>> = {},
  beside?: MemoryMachine,
): Promise<MemoryMachine> {
  const machine = createMemoryMachine(beside ? { clock: beside.clock } : {});
  const { files, units } = machine;
  await files.write([
    textFile('/etc/os-release', 'ID=debian\nVERSION_ID=13\n', 0o644),
    textFile('/etc/machine-id', `${'0123456789abcdef'.repeat(2)}\n`, 0o444),
    textFile('/proc/sys/kernel/random/boot_id', '0e1f\n', 0o444),
    textFile(
      '/usr/lib/systemd/system/containerd.service',
      '[Service]\nType=notify\nExecStart=/usr/bin/containerd\n[Install]\nWantedBy=multi-user.target\n',
      0o644,
    ),
    ...Object.entries(documents).map(([name, text]) => textFile(`/etc/nodekiln/conf.d/${name}`, text)),
  ]);
  for (const version of versions) for (const tool of ['kubelet', 'kubectl']) await cacheTool(machine, tool, version);
  machine.program('modprobe', async ({ argv, files: its }) => {
    await its.write([{ type: 'directory', path: `/sys/module/${argv.at(-1) ?? ''}`, mode: 0o755, uid: 0, gid: 0 }]);
    return {};
  });
  let closeSocket = (): void => undefined;
  units.behave('containerd.service', {
    startMs: 50,
    onActive: () => (closeSocket = machine.serve(containerdSocket, () => ({}))),
    onInactive: () => closeSocket(),
  });
  let closeHealthz = (): void => undefined;
  units.behave('kubelet.service', {
    startMs: 200,
    onActive: () => (closeHealthz = machine.serve(healthz, () => ({ body: 'ok' }))),
    onInactive: () => closeHealthz(),
  });
  return machine;
}

async function cacheTool({ files }: MemoryMachine, tool: string, version: string): Promise<void> {
  const content = Buffer.from(`${tool} ${version}`);
  const path = cachedPath(tool, version);
  await files.write([{ type: 'file', path, content, mode: 0o755, uid: 0, gid: 0 }]);
  const stat = await files.stat(path);
  await writeEntry(files, {
    tool,
    version,
    key: version,
    digest: sha256(content),
    size: content.length,
    source: { type: 'file', location: `/artifacts/${tool}` },
    seal: { size: content.length, mtimeNs: String(stat?.mtimeNs) },
  });
}

/** Everything that lies about under a name of something in the making, but for transfers that are kept to go on with. */
export async function temporariesOf({ files }: Pick<MemoryMachine, 'files'>, folder = '/'): Promise<string[]> {
  const found: string[] = [];
  for (const name of await files.list(folder)) {
    const path = folder === '/' ? `/${name}` : `${folder}/${name}`;
    if (name.includes('.nodekiln-')) found.push(path);
    if ((await files.stat(path))?.type === 'directory') found.push(...(await temporariesOf({ files }, path)));
  }
  return found;
}
