/**
 * A real control plane in a lab's own network, for demo, tests and benchmarks: etcd, kube-apiserver (Node and RBAC
 * authorisation, NodeRestriction, bootstrap tokens), kube-controller-manager (approves and signs the CSRs of kubelets),
 * kube-scheduler, at 10.77.0.254. Hosts with `network: true` reach it, the machine does not; it ends with the lab.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { controlPlanePrograms } from './binaries.ts';
import { createApiClient, type ApiClient, type Credentials } from './control-plane/api.ts';
import { adminKubeconfig, allowBootstrap, makePki, type RunProgram } from './control-plane/pki.ts';
import { createServers, etcdFolder, serverNames, type Server, type ServerName } from './control-plane/servers.ts';
import { networkAddress, type ExecOptions, type Lab } from './lab.ts';
import type { Progress } from './prerequisites.ts';
import { monotonicMs } from './process.ts';
import type { RunResult } from './run.ts';

export interface ClusterOptions {
  /** Whoever makes the servers' programs for the first time is told how far that is. */
  readonly progress?: Progress;
  /** Further flags of a server. The last one of a name wins, so that ours can be overruled. */
  readonly flags?: Partial<Record<ServerName, readonly string[]>>;
  /** The API server talks only to kubelets whose serving certificate the cluster's authority signed. Default: to all. */
  readonly checkKubelets?: boolean;
  /** Records each request, for `audit`. */
  readonly audit?: boolean;
}

export interface TokenOptions {
  /** Until it expires; below zero: it has. The cluster removes expired tokens after a while. Default: two hours. */
  readonly ttlMs?: number;
  /** Without `authentication` nobody can log in with it. Default: authentication, signing. */
  readonly usages?: readonly ('authentication' | 'signing')[];
  /** Default: the group that may ask for a kubelet's certificate and whose CSRs are approved by themselves. */
  readonly groups?: readonly string[];
}

/** One line of the audit log, at the level Metadata. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly userAgent?: string;
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  /** Absent for a request that is not answered yet. */
  readonly responseStatus?: { readonly code: number };
  readonly stage: 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

export interface Cluster {
  readonly lab: Lab;
  /** `https://10.77.0.254:6443` */
  readonly server: string;
  /** On the machine, outside the lab's network: the API server's TLS, byte by byte. */
  readonly socket: string;
  /** The authority of the API server and of its clients, PEM. */
  readonly caBundle: string;
  /** Paths of the authority's certificate and key, to issue certificates that the cluster trusts. */
  readonly authority: { readonly certificate: string; readonly key: string };
  /** Everything the control plane has: `pki/`, `<server>.log`, kubeconfigs. On the lab's disk. */
  readonly folder: string;
  /** From nothing to where a node can join. */
  readonly startMs: number;
  readonly servers: Readonly<Record<ServerName, Server>>;
  /** The administrator: may do everything. */
  readonly admin: ApiClient;
  /** Asks as somebody else. */
  as(credentials: Credentials): ApiClient;
  /** kubectl as the administrator, in the lab's network; its standard output. Throws with what it said when it fails. */
  kubectl(args: readonly string[], options?: ExecOptions): Promise<string>;
  /** kubectl that may fail. */
  tryKubectl(args: readonly string[], options?: ExecOptions): Promise<RunResult>;
  /** What to start kubectl with by `lab.spawnInNetwork`, for one that stays. */
  readonly kubectlCommand: readonly string[];
  /** A bootstrap token, `abcdef.0123456789abcdef`. */
  newToken(options?: TokenOptions): Promise<string>;
  /** Starts the API server after `servers['kube-apiserver'].stop()`, and returns when it is ready. */
  startApiServer(flags?: readonly string[]): Promise<void>;
  /** A copy of all that the cluster knows now, as a power cut would leave it; a folder for `restoreEtcd`. */
  saveEtcd(): Promise<string>;
  /**
   * Puts the cluster back to a copy, as after a disaster: revisions go back, too. Every server starts again, or the store
   * alone: whoever watches then goes on with what the API server remembers of it.
   */
  restoreEtcd(copy: string, options?: { readonly storeAlone?: boolean }): Promise<void>;
  /** What was asked of the API server so far; needs the option. */
  audit(): Promise<readonly AuditEvent[]>;
  /** Stops the servers and ends connections. Not needed before `lab.close()`. */
  close(): Promise<void>;
}

const port = 6443;
const readyDeadlineMs = 120_000;

/** Throws with what a server said last when one does not come up. A lab has room for one cluster. */
export async function openCluster(lab: Lab, options: ClusterOptions = {}): Promise<Cluster> {
  const programs = await controlPlanePrograms(options.progress);
  const began = monotonicMs();
  // No host has such a name.
  const folder = join(lab.disk, '_cluster');
  await mkdir(folder, { mode: 0o700 });
  const run: RunProgram = (argv) => checked(lab, argv);
  await makePki({ programs, folder, address: networkAddress, port, run });
  const caBundle = await readFile(join(folder, 'pki/ca.crt'), 'utf8');
  const socket = await startRelay(lab, folder);
  const clients = new Set<ApiClient>();
  const as = (credentials: Credentials): ApiClient => {
    const client = createApiClient({ socket, address: networkAddress, ca: caBundle }, credentials);
    clients.add(client);
    return client;
  };
  const admin = as(await credentialsOf(join(folder, adminKubeconfig)));

  const servers = createServers({ lab, programs, folder, address: networkAddress, port });
  const flags: Record<ServerName, readonly string[]> = {
    etcd: options.flags?.etcd ?? [],
    'kube-apiserver': [
      ...(options.checkKubelets ? [`--kubelet-certificate-authority=${join(folder, 'pki/ca.crt')}`] : []),
      ...(options.audit ? await auditFlags(folder) : []),
      ...(options.flags?.['kube-apiserver'] ?? []),
    ],
    'kube-controller-manager': options.flags?.['kube-controller-manager'] ?? [],
    'kube-scheduler': options.flags?.['kube-scheduler'] ?? [],
  };
  const startApiServer = async (more: readonly string[] = []): Promise<void> => {
    await servers['kube-apiserver'].start([...flags['kube-apiserver'], ...more]);
    const { etcd, 'kube-apiserver': apiServer } = servers;
    await untilAnswered(admin, '/readyz', { etcd, 'kube-apiserver': apiServer });
  };
  const startAll = async (): Promise<void> => {
    await servers.etcd.start(flags.etcd);
    await startApiServer();
    await servers['kube-controller-manager'].start(flags['kube-controller-manager']);
    await servers['kube-scheduler'].start(flags['kube-scheduler']);
  };
  const stopAll = (): Promise<unknown> => Promise.all(serverNames.map((name) => servers[name].stop('SIGKILL')));

  await startAll();
  await allowBootstrap({ programs, folder, run });
  // kubeadm gives this group to the API server's identity towards kubelets, which ask the API server whether it may.
  await admin.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'kubeadm:cluster-admins' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'kubeadm:cluster-admins' }],
  });
  // The controllers work when they have made what every pod needs.
  await untilAnswered(admin, '/api/v1/namespaces/default/serviceaccounts/default', servers);
  const startMs = monotonicMs() - began;
  options.progress?.(`control plane ready after ${(startMs / 1000).toFixed(1)} s`);

  const kubectlCommand = [join(programs, 'kubectl'), `--kubeconfig=${join(folder, adminKubeconfig)}`];
  let copies = 0;
  return {
    lab,
    server: `https://${networkAddress}:${port}`,
    socket,
    caBundle,
    authority: { certificate: join(folder, 'pki/ca.crt'), key: join(folder, 'pki/ca.key') },
    folder,
    startMs,
    servers,
    admin,
    as,
    kubectlCommand,
    kubectl: (args, options) => checked(lab, [...kubectlCommand, ...args], options),
    tryKubectl: (args, options) => lab.execInNetwork([...kubectlCommand, ...args], withDeadline(options)),
    newToken: (options) => makeToken(admin, options),
    startApiServer,
    async saveEtcd() {
      copies += 1;
      const copy = join(folder, `etcd-copy-${copies}`);
      await servers.etcd.paused(() => cp(etcdFolder(folder), copy, { recursive: true }));
      return copy;
    },
    async restoreEtcd(copy, { storeAlone = false } = {}) {
      await (storeAlone ? servers.etcd.stop('SIGKILL') : stopAll());
      await rm(etcdFolder(folder), { recursive: true, force: true });
      await cp(copy, etcdFolder(folder), { recursive: true });
      await (storeAlone ? servers.etcd.start(flags.etcd) : startAll());
    },
    async audit() {
      const log = await readFile(join(folder, auditLog), 'utf8');
      // The last line may still be being written.
      const lines = log.slice(0, log.lastIndexOf('\n') + 1).split('\n');
      return lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line) as AuditEvent]));
    },
    async close() {
      for (const client of clients) client.close();
      await stopAll();
    },
  };
}

function withDeadline(options: ExecOptions = {}): ExecOptions {
  return { timeoutMs: 60_000, ...options };
}

async function checked(lab: Lab, argv: readonly string[], options?: ExecOptions): Promise<string> {
  const { status, stdout, stderr } = await lab.execInNetwork(argv, withDeadline(options));
  if (status !== 0) throw new Error(`${argv.join(' ')}: exit status ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** A Unix socket of the machine that leads to the API server: names of files, unlike addresses, are the same everywhere. */
async function startRelay(lab: Lab, folder: string): Promise<string> {
  const socket = join(folder, 'api.sock');
  const program = fileURLToPath(new URL('control-plane/relay.ts', import.meta.url));
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', program, socket, networkAddress];
  const relay = lab.spawnInNetwork([...argv, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (!relay.stdout) throw new Error('the relay has no standard output');
  await Promise.race([
    once(relay.stdout, 'data'),
    once(relay, 'exit').then(() => {
      throw new Error('the relay to the API server ended');
    }),
  ]);
  relay.stdout.destroy();
  relay.unref();
  return socket;
}

/** Of a kubeconfig that kubeadm wrote. */
export async function credentialsOf(kubeconfig: string): Promise<Credentials> {
  // kubeadm wrote it.
  const { users } = parse(await readFile(kubeconfig, 'utf8')) as {
    users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
  };
  const user = users[0]?.user;
  if (!user) throw new Error(`${kubeconfig} has no user`);
  const decode = (data: string): string => Buffer.from(data, 'base64').toString('utf8');
  return { cert: decode(user['client-certificate-data']), key: decode(user['client-key-data']) };
}

const auditLog = 'audit.log';

async function auditFlags(folder: string): Promise<readonly string[]> {
  const policy = join(folder, 'audit-policy.json');
  const rules = [{ level: 'Metadata', omitStages: ['RequestReceived'] }];
  await writeFile(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }));
  return [`--audit-policy-file=${policy}`, `--audit-log-path=${join(folder, auditLog)}`, '--audit-log-maxsize=0'];
}

/** Until the API server answers a path well. Throws with a server's last words when one ends before, and at a deadline. */
async function untilAnswered(
  admin: ApiClient,
  path: string,
  servers: Readonly<Partial<Record<ServerName, Server>>>,
): Promise<void> {
  const deadline = performance.now() + readyDeadlineMs;
  const giveUp = async (what: string, server?: Server): Promise<never> => {
    const words = (await server?.log())?.trim().split('\n').slice(-15) ?? [];
    throw new Error([`${what}:`, ...words].join('\n  '));
  };
  for (;;) {
    for (const [name, server] of Object.entries(servers)) if (!server.running) await giveUp(`${name} ended`, server);
    const answer = await admin.request('GET', path).catch(() => undefined);
    if (answer?.status === 200) return;
    if (performance.now() > deadline)
      await giveUp(`${path} is not answered after ${readyDeadlineMs} ms`, servers['kube-apiserver']);
    await sleep(50);
  }
}

async function makeToken(admin: ApiClient, options: TokenOptions = {}): Promise<string> {
  const { ttlMs = 2 * 60 * 60 * 1000, usages = ['authentication', 'signing'] } = options;
  const groups = options.groups ?? ['system:bootstrappers:kubeadm:default-node-token'];
  const [id, secret] = [randomBytes(3).toString('hex'), randomBytes(8).toString('hex')];
  await admin.create('/api/v1/namespaces/kube-system/secrets', {
    metadata: { name: `bootstrap-token-${id}` },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': id,
      'token-secret': secret,
      expiration: new Date(Date.now() + ttlMs).toISOString(),
      'auth-extra-groups': groups.join(','),
      ...Object.fromEntries(usages.map((usage) => [`usage-bootstrap-${usage}`, 'true'])),
    },
  });
  return `${id}.${secret}`;
}
