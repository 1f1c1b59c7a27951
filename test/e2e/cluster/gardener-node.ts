/**
 * A node that gardener-node-agent tends, as that agent leaves it: what it was told, who it is, what it applied last and what it
 * was in the middle of, in its own words and places; containerd configured in its way, kubelet a member of the cluster.
 */
import { chmod, copyFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseToml, stringify as stringifyToml } from 'smol-toml';
import { stringify } from 'yaml';
import { bakedRoot } from '../../demo/baked.ts';
import { kubelet as kubeletProgram } from '../../lab/binaries.ts';
import type { Cluster } from '../../lab/cluster.ts';
import type { Lab, LabHost } from '../../lab/lab.ts';
import { issueCertificate } from '../../servers/certificates.ts';
import { inlineFile, oscOf, type Json } from '../../support/osc.ts';
import { readFile } from 'node:fs/promises';

export const base = '/var/lib/gardener-node-agent';
export const itsConfig = `${base}/config-v1.130.0.yaml`;
export const itsUnit = 'gardener-node-agent.service';
const itsCa = `${base}/cluster-ca.crt`;
const [kubeletConfig, kubeletCa, kubelet] = [
  '/var/lib/kubelet/config/kubelet',
  '/var/lib/kubelet/ca.crt',
  '/opt/bin/kubelet',
];
const units = '/etc/systemd/system';
/** No registry has it: who asks for it again has forgotten what is there. */
const unknownImage = `registry.invalid/hyperkube@sha256:${'0'.repeat(64)}`;

export interface GardenerNode {
  readonly name: string;
  readonly cluster: Cluster;
  /** The Secret in kube-system that it follows. */
  readonly secret: string;
  /** Beside what every such node has. */
  readonly spec: { readonly files: readonly Json[]; readonly units: readonly Json[] };
}

/** What Gardener renders for every node of it, and the parts of a test. */
export function gardenerSpec({ name, cluster, secret }: Omit<GardenerNode, 'spec'>): { files: Json[]; units: Json[] } {
  return {
    files: [
      inlineFile(kubeletCa, cluster.caBundle, { permissions: 0o644 }),
      inlineFile(kubeletConfig, stringify(kubeletSettings), { permissions: 0o644 }),
      {
        path: kubelet,
        permissions: 0o755,
        content: { imageRef: { image: unknownImage, filePathInImage: '/kubelet' } },
      },
      inlineFile(itsCa, cluster.caBundle, { permissions: 0o640 }),
      inlineFile(itsConfig, itsConfiguration({ name, cluster, secret }), { permissions: 0o600 }),
      {
        path: '/opt/bin/gardener-node-agent',
        permissions: 0o755,
        content: { imageRef: { image: unknownImage, filePathInImage: '/gardener-node-agent' } },
      },
    ],
    units: [
      { name: 'containerd.service', enable: true, filePaths: [kubeletCa] },
      { name: 'kubelet.service', enable: true, content: kubeletUnit, filePaths: [kubeletCa, kubeletConfig, kubelet] },
      {
        name: itsUnit,
        enable: true,
        content:
          '[Unit]\nAfter=network-online.target\n[Service]\nExecStart=/opt/bin/gardener-node-agent --config-dir=/var/lib/gardener-node-agent\nRestart=always\nRestartSec=5\n[Install]\nWantedBy=multi-user.target\n',
        filePaths: [itsConfig, itsCa, '/opt/bin/gardener-node-agent'],
      },
    ],
  };
}

const kubeletSettings = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: { anonymous: { enabled: false }, x509: { clientCAFile: kubeletCa } },
  cgroupDriver: 'systemd',
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  failCgroupV1: false,
  failSwapOn: false,
  rotateCertificates: true,
  staticPodPath: '/etc/kubernetes/manifests',
  volumePluginDir: '/var/lib/kubelet/volumeplugins',
};

const kubeletUnit = `[Unit]
After=containerd.service
[Service]
ExecStart=${kubelet} --bootstrap-kubeconfig=/var/lib/kubelet/kubeconfig-bootstrap --config=${kubeletConfig} --kubeconfig=/var/lib/kubelet/kubeconfig-real --v=2
Restart=always
RestartSec=5
[Install]
WantedBy=multi-user.target
`;

function itsConfiguration({ name, cluster, secret }: Omit<GardenerNode, 'spec'>): string {
  return stringify({
    apiVersion: 'nodeagent.config.gardener.cloud/v1alpha1',
    kind: 'NodeAgentConfiguration',
    apiServer: { server: cluster.server, caFile: itsCa },
    clientConnection: { kubeconfig: `${base}/credentials/kubeconfig` },
    logLevel: 'info',
    controllers: {
      operatingSystemConfig: { secretName: secret, kubernetesVersion: '1.34.3' },
      token: { syncConfigs: [{ secretName: `token-${name}`, path: '/var/lib/valitail/auth-token' }] },
    },
  });
}

/** A host that its own agent, kubelet and containerd run on; its kubelet is registered when this returns. */
export async function gardenerNode(lab: Lab, node: GardenerNode): Promise<LabHost> {
  const { name, cluster, spec } = node;
  const program = await kubeletProgram('v1.34.3');
  const host = await lab.host({
    name,
    network: true,
    root: await bakedRoot(),
    seeds: ['/opt', '/var/lib/containerd'],
    prepare: async (disk) => {
      // No boot of ours has been here.
      await rm(join(disk, 'etc/systemd/system/multi-user.target.wants'), { recursive: true });
      await copyFile(program, join(disk, kubelet));
      await mkdir(join(disk, 'opt/cni'), { recursive: true });
      await symlink('/usr/lib/cni', join(disk, 'opt/cni/bin'));
      await writeFile(join(disk, 'opt/bin/gardener-node-agent'), '#!/bin/sh\nexec sleep infinity\n');
      await chmod(join(disk, 'opt/bin/gardener-node-agent'), 0o755);
    },
  });
  await host.start();
  await host.waitRunning();
  const common = gardenerSpec(node);
  const applied = { files: [...common.files, ...spec.files], units: [...common.units, ...spec.units] };
  await configureContainerd(host);
  await writeState(host, node, applied);
  const started = ['containerd.service', ...applied.units.map(({ name: unit }) => String(unit))];
  await host.check(['systemctl', 'daemon-reload']);
  await host.check(['systemctl', 'enable', ...new Set(started)]);
  await host.check(['systemctl', 'start', ...new Set(started)]);
  await cluster.admin.until(`/api/v1/nodes/${name}`, () => true, 'its kubelet is registered', 60_000);
  await host.check(['rm', '/var/lib/kubelet/kubeconfig-bootstrap']);
  return host;
}

/** containerd's default, changed here and there; keys in order. */
async function configureContainerd(host: LabHost): Promise<void> {
  const text = await host.check(['containerd', 'config', 'default']);
  // Debian's containerd of this suite is a 1.7.
  const config = parseToml(text, { integersAsBigInt: true }) as {
    imports: string[];
    plugins: { 'io.containerd.grpc.v1.cri': Record<string, Record<string, unknown>> };
  };
  const cri = config.plugins['io.containerd.grpc.v1.cri'];
  config.imports = ['/etc/containerd/conf.d/*.toml'];
  Object.assign(cri, { sandbox_image: 'lab.nodekiln.dev/pause:1', restrict_oom_score_adj: true });
  Object.assign(cri['registry'] ?? {}, { config_path: '/etc/containerd/certs.d' });
  Object.assign(cri['cni'] ?? {}, { bin_dir: '/opt/cni/bin' });
  const { runtimes } = cri['containerd'] as { runtimes: { runc: { options: Record<string, unknown> } } };
  runtimes.runc.options['SystemdCgroup'] = true;
  await host.writeFile('/etc/containerd/config.toml', stringifyToml(config, { numbersAsFloat: true }));
}

async function writeState(host: LabHost, node: GardenerNode, applied: { files: Json[]; units: Json[] }): Promise<void> {
  const { name, cluster } = node;
  for (const { path, permissions, content } of applied.files) {
    const { inline } = content as { inline?: { data: string } };
    if (inline) await host.writeFile(String(path), inline.data, { mode: Number(permissions ?? 0o600) });
  }
  for (const { name: unit, content, dropIns = [] } of applied.units) {
    // It writes units so that only root can read them.
    if (typeof content === 'string') await host.writeFile(`${units}/${String(unit)}`, content, { mode: 0o600 });
    for (const { name: dropIn, content: text } of dropIns as { name: string; content: string }[])
      await host.writeFile(`${units}/${String(unit)}.d/${dropIn}`, text, { mode: 0o600 });
  }
  const token = await cluster.newToken();
  const bootstrap = kubeconfig(cluster, { token });
  await host.writeFile('/var/lib/kubelet/kubeconfig-bootstrap', bootstrap, { mode: 0o600 });
  await host.writeFile('/var/lib/valitail/auth-token', 'hunter2', { mode: 0o640 });
  await host.writeFile(
    '/etc/cni/net.d/10-lab.conflist',
    JSON.stringify({ cniVersion: '0.4.0', name: 'lab', plugins: [{ type: 'loopback' }] }),
  );
  const issued = await issueCertificate(join(cluster.folder, 'certificates'), `machine-${name}`, cluster.authority, {
    subject: `/O=gardener.cloud:node-agents/CN=gardener.cloud:node-agent:machine:machine-${name}`,
  });
  const [cert, key] = [await readFile(issued.certificate, 'base64'), await readFile(issued.key, 'base64')];
  const its = kubeconfig(cluster, { 'client-certificate-data': cert, 'client-key-data': key });
  await host.writeFile(`${base}/credentials/kubeconfig`, its, { mode: 0o600 });
  await host.writeFile(`${base}/machine-name`, `machine-${name}\n`, { mode: 0o640 });
  const document = oscOf({ type: 'any', purpose: 'reconcile', ...applied, ...criConfig([]) });
  await host.writeFile(`${base}/last-applied-osc.yaml`, stringify(document), { mode: 0o600 });
}

/** The containerd of a lab host, and registries. */
export function criConfig(registries: readonly Json[], settings: Json = {}): Json {
  const path = ['io.containerd.grpc.v1.cri'];
  // A lab host has no CAP_SYS_RESOURCE.
  const plugins = [{ op: 'add', path, values: { restrict_oom_score_adj: true, ...settings } }];
  const containerd = { sandboxImage: 'lab.nodekiln.dev/pause:1', registries, plugins };
  return { criConfig: { name: 'containerd', cgroupDriver: 'systemd', containerd } };
}

function kubeconfig({ server, caBundle }: Cluster, user: Json): string {
  const authority = { 'certificate-authority-data': Buffer.from(caBundle).toString('base64') };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'it',
    contexts: [{ name: 'it', context: { cluster: 'it', user: 'it' } }],
    clusters: [{ name: 'it', cluster: { server, ...authority } }],
    users: [{ name: 'it', user }],
  });
}
