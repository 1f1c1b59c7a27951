/**
 * What can be in the way of a boot into a cluster, as documents that meet it on the lab's control plane; in the order in which
 * they are met: where two come together, the first is the cause to name.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import { joinDocument, type JoinOptions } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';

/** What the API server's certificate does not name, and where servers with other certificates are. */
const alias = '10.77.0.253';
const manualGroup = 'system:bootstrappers:nodekiln:manual';
/** Longer than the default: several hosts start beside each other, and the first answers may be late ones. */
const joinDeadline = '16s';
const dayMs = 24 * 60 * 60 * 1000;

/** What a document says differently; a good token unless it names one, none with null. */
export type Parts = Partial<Omit<JoinOptions, 'token'>> & { readonly token?: string | null };

export interface Fault {
  readonly name: string;
  readonly code: string;
  readonly says: RegExp;
  readonly document: (cluster: Cluster) => Promise<Parts>;
}

export const faults: readonly Fault[] = [
  {
    name: 'token-unknown',
    code: 'NK_CLUSTER_TOKEN_REFUSED',
    says: /does not know the bootstrap token/,
    document: async () => ({ token: 'abcdef.0123456789abcdef' }),
  },
  {
    name: 'token-expired',
    code: 'NK_CLUSTER_TOKEN_REFUSED',
    says: /does not know the bootstrap token/,
    document: async (cluster) => ({ token: await cluster.newToken({ ttlMs: -60_000 }) }),
  },
  {
    name: 'token-disabled',
    code: 'NK_CLUSTER_TOKEN_REFUSED',
    says: /does not know the bootstrap token/,
    document: async (cluster) => ({ token: await cluster.newToken({ usages: ['signing'] }) }),
  },
  {
    name: 'token-without-rights',
    code: 'NK_CLUSTER_TOKEN_FORBIDDEN',
    says: /does not let the bootstrap token ask/,
    document: async (cluster) => ({ token: await cluster.newToken({ groups: ['system:bootstrappers:nobody'] }) }),
  },
  {
    name: 'nobody-approves',
    code: 'NK_CLUSTER_REQUEST_PENDING',
    says: /certificate request \S+ waits for somebody/,
    document: async (cluster) => ({ token: await cluster.newToken({ groups: [manualGroup] }) }),
  },
  {
    name: 'server-refuses',
    code: 'NK_CLUSTER_UNREACHABLE',
    says: /nobody listens/,
    document: async () => ({ server: 'https://10.77.0.254:6444' }),
  },
  {
    name: 'no-route',
    code: 'NK_CLUSTER_UNREACHABLE',
    says: /10\.77\.0\.199:6443/,
    document: async () => ({ server: 'https://10.77.0.199:6443' }),
  },
  {
    name: 'no-name',
    code: 'NK_CLUSTER_UNREACHABLE',
    says: /cannot be resolved/,
    document: async () => ({ server: 'https://api.nowhere.invalid:6443' }),
  },
  {
    name: 'other-authority',
    code: 'NK_CLUSTER_AUTHORITY',
    says: /an authority that caBundle does not hold/,
    document: async (cluster) => {
      const stranger = await makeAuthority(join(cluster.folder, 'certificates'), 'stranger');
      return { caBundle: await readFile(stranger.certificate, 'utf8') };
    },
  },
  {
    name: 'certificate-for-another',
    code: 'NK_CLUSTER_CERTIFICATE',
    says: /another’s certificate/,
    document: async () => ({ server: `https://${alias}:6443` }),
  },
  {
    name: 'certificate-expired',
    code: 'NK_CLUSTER_CERTIFICATE',
    says: /has expired/,
    document: async () => ({ server: `https://${alias}:7001` }),
  },
  {
    // As it looks from a machine whose clock is behind.
    name: 'certificate-of-tomorrow',
    code: 'NK_CLUSTER_CLOCK',
    says: /does not hold yet/,
    document: async () => ({ server: `https://${alias}:7002` }),
  },
  {
    name: 'no-pod-network',
    code: 'NK_CLUSTER_NOT_READY',
    says: /cni plugin not initialized/i,
    document: async () => ({
      spec: { network: { cni: { type: 'none' } }, boot: { goal: 'ready' } },
    }),
  },
  {
    name: 'nothing-to-show',
    code: 'NK_CLUSTER_CREDENTIAL_MISSING',
    says: /neither|no certificate/,
    document: async () => ({ token: null, spec: { boot: { deadline: '40s' } } }),
  },
  {
    name: 'name-of-another',
    code: 'NK_CLUSTER_NAME_TAKEN',
    says: /another machine/,
    document: async () => ({ nodeName: 'good' }),
  },
];

export function faultNamed(name: string): Fault {
  const fault = faults.find((one) => one.name === name);
  assert.ok(fault, name);
  return fault;
}

/** A lab with a control plane on which every fault can be met. */
export interface JoinLab {
  readonly lab: Lab;
  readonly cluster: Cluster;
  readonly hosts: ReadonlyMap<string, LabHost>;
  /** A host that boots with this document. */
  started(name: string, parts?: Parts): Promise<LabHost>;
}

export async function openJoinLab(): Promise<JoinLab> {
  await installPrerequisites(console.error);
  await bakedRoot(console.error);
  const lab = await openLab();
  const cluster = await openCluster(lab, { progress: console.error });
  const role = '--clusterrole=system:node-bootstrapper';
  await cluster.kubectl(['create', 'clusterrolebinding', 'manual', role, `--group=${manualGroup}`]);
  const device = `"$(ip -o -4 address show to 10.77.0.254 | cut -d ' ' -f 2)"`;
  await lab.execInNetwork(['sh', '-euc', `ip address add ${alias}/24 dev ${device}`]);
  await serveOtherTimes(lab, cluster);
  const hosts = new Map<string, LabHost>();
  return {
    lab,
    cluster,
    hosts,
    async started(name, { token, ...parts } = {}) {
      const podSubnet = `10.88.${hosts.size + 1}.0/24`;
      const shown = token === null ? {} : { token: token ?? (await cluster.newToken()) };
      const { boot, ...spec } = parts.spec ?? {};
      const document = joinDocument(cluster, {
        podSubnet,
        ...parts,
        ...shown,
        spec: { ...spec, boot: { joinDeadline, ...(boot as object | undefined) } },
      });
      const host = await bakedNode(lab, { name, network: true, document });
      hosts.set(name, host);
      await host.start();
      return host;
    },
  };
}

/** Says nothing but its certificate, to as many as ask at a time. */
const tlsServer = `
const { readFileSync } = require('node:fs');
const [host, port, cert, key] = process.argv.slice(1);
const server = require('node:tls').createServer({ cert: readFileSync(cert), key: readFileSync(key) });
server.on('tlsClientError', () => undefined).on('secureConnection', (socket) => socket.on('error', () => undefined).end());
server.listen(Number(port), host);
`;

/** Servers that the cluster's authority vouches for, yesterday and tomorrow. */
async function serveOtherTimes(lab: Lab, cluster: Cluster): Promise<void> {
  const folder = join(cluster.folder, 'certificates');
  const at = (days: number): Date => new Date(Date.now() + days * dayMs);
  for (const [port, name, times] of [
    [7001, 'expired', { notBefore: at(-2), notAfter: at(-1) }],
    [7002, 'tomorrow', { notBefore: at(1), notAfter: at(2) }],
  ] as const) {
    const about = { subject: '/CN=api', names: [`IP:${alias}`], ...times };
    const { certificate, key } = await issueCertificate(folder, name, cluster.authority, about);
    const argv = [process.execPath, '-e', tlsServer, alias, String(port), certificate, key];
    lab.spawnInNetwork(argv, { stdio: 'ignore' }).unref();
  }
}

/** Does the work for all, some of them at a time: hosts that boot beside each other. */
export async function severalAtATime<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}
