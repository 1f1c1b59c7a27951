/**
 * Another authority in the place of a cluster's, of the same name, in the steps that such a rotation takes: whoever asks the API
 * server trusts both; the servers have certificates of the new one, sign with it and take those of both; the old one is gone.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlPlanePrograms } from '../binaries.ts';
import { credentialsOf, type Cluster } from '../cluster.ts';
import { networkAddress } from '../lab.ts';
import { createApiClient, type ApiClient } from './api.ts';
import { adminKubeconfig, makePki } from './pki.ts';

export interface Rotation {
  /** Old and new, PEM. */
  readonly both: string;
  /** The new one alone, PEM. */
  readonly next: string;
  /** The administrator, by the new authority; kubectl is, too, from `issue` on. */
  readonly admin: ApiClient;
  /** Returns when the servers of before are replaced by such of the new authority, which take certificates of both. */
  issue(): Promise<void>;
  /** The same, and those of the old one are taken no longer. */
  forget(): Promise<void>;
}

const readyDeadlineMs = 120_000;

export async function prepareRotation(cluster: Cluster): Promise<Rotation> {
  const { lab, servers } = cluster;
  const folder = join(cluster.folder, 'next');
  await mkdir(folder, { mode: 0o700 });
  await makePki({
    programs: await controlPlanePrograms(),
    folder,
    address: networkAddress,
    port: Number(new URL(cluster.server).port),
    run: async (argv) => {
      const { status, stdout, stderr } = await lab.execInNetwork(argv, { timeoutMs: 60_000 });
      if (status !== 0) throw new Error(`${argv.join(' ')}: exit status ${status}\n${stdout}${stderr}`);
      return stdout;
    },
  });
  const at = (path: string): string => join(folder, path);
  const next = await readFile(at('pki/ca.crt'), 'utf8');
  const both = `${cluster.caBundle}${next}`;
  await writeFile(at('both.crt'), both);
  const endpoint = { socket: cluster.socket, address: networkAddress, ca: next };
  const admin = createApiClient(endpoint, await credentialsOf(at(adminKubeconfig)));

  const startWith = async (authorities: string): Promise<void> => {
    const {
      'kube-apiserver': apiServer,
      'kube-controller-manager': controllers,
      'kube-scheduler': scheduler,
    } = servers;
    await Promise.all([apiServer, controllers, scheduler].map((server) => server.stop('SIGKILL')));
    await apiServer.start([
      `--client-ca-file=${authorities}`,
      `--tls-cert-file=${at('pki/apiserver.crt')}`,
      `--tls-private-key-file=${at('pki/apiserver.key')}`,
      `--kubelet-client-certificate=${at('pki/apiserver-kubelet-client.crt')}`,
      `--kubelet-client-key=${at('pki/apiserver-kubelet-client.key')}`,
    ]);
    for (const began = performance.now(); ; await sleep(100)) {
      const answer = await admin.request('GET', '/readyz').catch(() => undefined);
      if (answer?.status === 200) break;
      if (performance.now() - began > readyDeadlineMs) throw new Error(`not ready:\n${await apiServer.log()}`);
    }
    const kubeconfigs = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'];
    await controllers.start([
      ...kubeconfigs.map((flag) => `--${flag}=${at('controller-manager.conf')}`),
      `--root-ca-file=${authorities}`,
      `--cluster-signing-cert-file=${at('pki/ca.crt')}`,
      `--cluster-signing-key-file=${at('pki/ca.key')}`,
    ]);
    await scheduler.start([`--kubeconfig=${at('scheduler.conf')}`]);
  };
  return {
    both,
    next,
    admin,
    async issue() {
      await startWith(at('both.crt'));
      await copyFile(at(adminKubeconfig), join(cluster.folder, adminKubeconfig));
    },
    forget: () => startWith(at('pki/ca.crt')),
  };
}
