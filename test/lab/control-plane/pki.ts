/**
 * The certificates, keys and kubeconfigs of a control plane, and who may join: kubeadm's own phases, so that nothing of it
 * has to be kept in step by hand.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Runs a program of the control plane; throws when it fails. */
export type RunProgram = (argv: readonly string[]) => Promise<unknown>;

export interface PkiOptions {
  /** The folder with kubeadm. */
  readonly programs: string;
  /** Gets `pki/` and one kubeconfig for each component. */
  readonly folder: string;
  /** Where the API server will be. */
  readonly address: string;
  readonly port: number;
  readonly run: RunProgram;
}

/** The administrator: of the group system:masters, which no authorizer is asked about. */
export const adminKubeconfig = 'super-admin.conf';

const configuration = 'kubeadm.json';

export async function makePki(options: PkiOptions): Promise<void> {
  const { programs, folder, address, port, run } = options;
  const documents = [
    {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'InitConfiguration',
      localAPIEndpoint: { advertiseAddress: address, bindPort: port },
      nodeRegistration: { name: 'control-plane', criSocket: 'unix:///run/containerd/containerd.sock' },
    },
    {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'ClusterConfiguration',
      // Otherwise it asks the Internet which release is the newest.
      kubernetesVersion: await versionOf(programs, run),
      certificatesDir: join(folder, 'pki'),
      clusterName: 'lab',
      // Made in milliseconds where RSA takes seconds.
      encryptionAlgorithm: 'ECDSA-P256',
      networking: { serviceSubnet },
      apiServer: { certSANs: [address, '127.0.0.1'] },
    },
  ];
  await writeFile(join(folder, configuration), documents.map((each) => JSON.stringify(each)).join('\n---\n'));
  const phase = (...args: readonly string[]): Promise<unknown> =>
    run([join(programs, 'kubeadm'), 'init', 'phase', ...args, '--config', join(folder, configuration)]);
  await phase('certs', 'all');
  await Promise.all(
    ['super-admin', 'controller-manager', 'scheduler'].map((who) =>
      phase('kubeconfig', who, '--kubeconfig-dir', folder),
    ),
  );
}

/** The addresses of Services; nobody answers there without a kube-proxy. */
export const serviceSubnet = '10.96.0.0/16';

async function versionOf(programs: string, run: RunProgram): Promise<string> {
  return String(await run([join(programs, 'kubeadm'), 'version', '--output', 'short'])).trim();
}

/** Who may bootstrap and whose CSRs are approved by themselves; the API server must answer. */
export async function allowBootstrap({ programs, folder, run }: Omit<PkiOptions, 'address' | 'port'>): Promise<void> {
  const kubeadm = [join(programs, 'kubeadm'), 'init', 'phase', 'bootstrap-token', '--skip-token-print'];
  const files = ['--config', join(folder, configuration), '--kubeconfig', join(folder, adminKubeconfig)];
  await run([...kubeadm, ...files]);
}
