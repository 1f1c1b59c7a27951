/**
 * The servers of a control plane as processes in the lab's network, each of which can be stopped and started again while
 * the others go on. They are accounted to the lab and end with it.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../lab.ts';
import { serviceSubnet } from './pki.ts';

export const serverNames = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
export type ServerName = (typeof serverNames)[number];

export interface Server {
  readonly running: boolean;
  /** Returns when the process was started; further flags come after ours, and the last one of a name wins. */
  start(flags?: readonly string[]): Promise<void>;
  /** Returns when it has ended: killed when it does not by itself in three seconds, as an API server that is watched. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Does something while the process is frozen. */
  paused<T>(work: () => Promise<T>): Promise<T>;
  /** What it said, of all starts. */
  log(): Promise<string>;
}

export interface ServersOptions {
  readonly lab: Lab;
  readonly programs: string;
  /** With `pki/` and the kubeconfigs of `pki.ts`; gets etcd's data and a log per server. */
  readonly folder: string;
  readonly address: string;
  readonly port: number;
}

/** Each Node gets a /24 of it. */
export const podSubnet = '10.90.0.0/16';

export function createServers(options: ServersOptions): Readonly<Record<ServerName, Server>> {
  const flags = ownFlags(options);
  return Object.fromEntries(serverNames.map((name) => [name, createServer(options, name, flags[name])])) as Record<
    ServerName,
    Server
  >;
}

function createServer({ lab, programs, folder }: ServersOptions, name: ServerName, own: readonly string[]): Server {
  const logPath = join(folder, `${name}.log`);
  let child: ChildProcess | undefined;
  return {
    get running() {
      return child !== undefined;
    },
    async start(flags = []) {
      if (child) throw new Error(`${name} runs already`);
      const log = openSync(logPath, 'a');
      // Not pipes: a lab that is kept outlives us.
      const started = lab.spawnInNetwork([join(programs, name), ...own, ...flags], {
        stdio: ['ignore', log, log],
        cwd: folder,
      });
      closeSync(log);
      started.unref();
      child = started;
      started.on('exit', () => {
        if (child === started) child = undefined;
      });
      await once(started, 'spawn');
    },
    async stop(signal = 'SIGTERM') {
      const stopped = child;
      if (!stopped) return;
      const ended = once(stopped, 'exit');
      stopped.ref();
      stopped.kill(signal);
      const deadline = new AbortController();
      const inTime = await Promise.race([
        ended.then(() => true),
        sleep(3_000, false, { signal: deadline.signal }).catch(() => true),
      ]);
      deadline.abort();
      if (!inTime) stopped.kill('SIGKILL');
      await ended;
    },
    async paused(work) {
      child?.kill('SIGSTOP');
      try {
        return await work();
      } finally {
        child?.kill('SIGCONT');
      }
    },
    log: () => readFile(logPath, 'utf8').catch(() => ''),
  };
}

function ownFlags({ folder, address, port }: ServersOptions): Readonly<Record<ServerName, readonly string[]>> {
  const etcd = 'http://127.0.0.1:2379';
  const peers = 'http://127.0.0.1:2380';
  const pki = (name: string): string => join(folder, 'pki', name);
  const kubeconfig = (who: string): string => join(folder, `${who}.conf`);
  return {
    etcd: flagsOf({
      'data-dir': etcdFolder(folder),
      // The kernel keeps what a killed etcd wrote, and no lab outlives its machine.
      'unsafe-no-fsync': true,
      'log-level': 'warn',
      'listen-client-urls': etcd,
      'advertise-client-urls': etcd,
      'listen-peer-urls': peers,
      'initial-advertise-peer-urls': peers,
      'initial-cluster': `default=${peers}`,
    }),
    'kube-apiserver': flagsOf({
      'etcd-servers': etcd,
      'secure-port': port,
      'advertise-address': address,
      'tls-cert-file': pki('apiserver.crt'),
      'tls-private-key-file': pki('apiserver.key'),
      'client-ca-file': pki('ca.crt'),
      'kubelet-client-certificate': pki('apiserver-kubelet-client.crt'),
      'kubelet-client-key': pki('apiserver-kubelet-client.key'),
      // Nobody in the lab resolves names.
      'kubelet-preferred-address-types': 'InternalIP',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': pki('sa.pub'),
      'service-account-signing-key-file': pki('sa.key'),
      'requestheader-client-ca-file': pki('front-proxy-ca.crt'),
      'requestheader-allowed-names': 'front-proxy-client',
      'requestheader-username-headers': 'X-Remote-User',
      'requestheader-group-headers': 'X-Remote-Group',
      'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
      'proxy-client-cert-file': pki('front-proxy-client.crt'),
      'proxy-client-key-file': pki('front-proxy-client.key'),
      'service-cluster-ip-range': serviceSubnet,
      'authorization-mode': 'Node,RBAC',
      'enable-admission-plugins': 'NodeRestriction',
      'enable-bootstrap-token-auth': true,
      'allow-privileged': true,
    }),
    'kube-controller-manager': flagsOf({
      kubeconfig: kubeconfig('controller-manager'),
      'authentication-kubeconfig': kubeconfig('controller-manager'),
      'authorization-kubeconfig': kubeconfig('controller-manager'),
      'use-service-account-credentials': true,
      'leader-elect': false,
      'bind-address': '127.0.0.1',
      'service-account-private-key-file': pki('sa.key'),
      'root-ca-file': pki('ca.crt'),
      controllers: '*,bootstrapsigner,tokencleaner',
      'cluster-signing-cert-file': pki('ca.crt'),
      'cluster-signing-key-file': pki('ca.key'),
      'allocate-node-cidrs': true,
      'cluster-cidr': podSubnet,
    }),
    'kube-scheduler': flagsOf({
      kubeconfig: kubeconfig('scheduler'),
      'leader-elect': false,
      'bind-address': '127.0.0.1',
    }),
  };
}

function flagsOf(values: Readonly<Record<string, string | number | boolean>>): readonly string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

export function etcdFolder(folder: string): string {
  return join(folder, 'etcd');
}
