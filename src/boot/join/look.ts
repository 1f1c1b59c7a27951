/**
 * One look at how far the node has come: its certificate, its Node, and what stands in the way. Asks as kubelet does: with
 * its certificate once it is there, with its token before. Nothing is changed anywhere.
 */
import type { Join } from '../../desired/join.ts';
import { NodekilnError } from '../../errors.ts';
import {
  isSameMachine,
  otherMachine,
  readMachineIdentity,
  type MachineIdentity,
  type ToldMachine,
} from '../../host/machine-identity.ts';
import type { Host } from '../../host/port.ts';
import { readKubeconfig } from '../../kube/kubeconfig.ts';
import { agentUnit, ownedAnnotation } from '../../model/agent-identity.ts';
import { fromBase64, latin1Of, textOf } from '../../model/bytes.ts';
import { certificatesIn } from '../../model/certificate.ts';
import { reveal } from '../../model/resources.ts';
import { ask, at, listAt, textAt, type Answer, type Api } from './api.ts';
import { clocksApart, noAnswer, unexpected } from './obstacles.ts';
import { lackingIn, type Lacking } from './registration.ts';

/** What was seen. */
export interface Sight {
  /** kubelet has a credential for the API server. */
  readonly credential: boolean;
  /** As the API server has it; undefined when it has none or was not asked. */
  readonly node: NodeSight | undefined;
  readonly obstacle: NodekilnError | undefined;
  /** What does not stand in the way of the goal, but somebody should know. */
  readonly remarks: readonly string[];
}

export interface NodeSight {
  readonly ready: boolean;
  /** Why it is not. */
  readonly why: string;
  /** The cluster has given it addresses for pods. */
  readonly hasPodCidr: boolean;
  /** Its identity is this machine's. */
  readonly ours: boolean;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly lacking: Lacking;
  /** An agent has kept it. */
  readonly isKept: boolean;
  /** One is on this host, and may be about to. */
  readonly hasAgent: boolean;
}

/** Looks at one node as it joins. */
export interface Looker {
  look(): Promise<Sight>;
}

/** A Lease that was renewed no longer ago is somebody's who lives: kubelet's own lasts 40 s. */
const leaseMs = 40_000;

/** The signal ends what is asked at that moment. */
export function createLooker(machine: Host, join: Join, signal: AbortSignal): Looker {
  const host = askingAsKubelet(machine, join);
  const [identity, agent] = [readMachineIdentity(host.files), isAgentHere(host)];
  return {
    async look() {
      const sight = await lookOnce({ host, join, signal, identity: await identity, hasAgent: await agent });
      return { ...sight, obstacle: await withOtherServer(sight.obstacle, { host, join, signal }) };
    },
  };
}

/** By the proxy that the document gives kubelet; else by that of the unit which started us, as systemd gives it all its units. */
function askingAsKubelet(host: Host, { proxy }: Join): Host {
  const { program } = host;
  const ofUnit = program.environment['NODEKILN_UNIT'] === undefined ? {} : program.environment;
  const environment = proxy ? Object.fromEntries(proxy.map(([name, value]) => [name, reveal(value)])) : ofUnit;
  return { ...host, program: { ...program, environment } };
}

interface Looking {
  readonly host: Host;
  readonly join: Join;
  readonly signal: AbortSignal;
}

interface LookingOnce extends Looking {
  readonly identity: MachineIdentity;
  readonly hasAgent: boolean;
}

async function lookOnce({ host, join, signal, identity, hasAgent }: LookingOnce): Promise<Sight> {
  const api = await credentialOf(host, join);
  if (api) return lookAsNode({ host, join, api: { ...api, signal }, identity, hasAgent });
  const bootstrap = await bootstrapOf(host, join);
  const obstacle =
    bootstrap instanceof NodekilnError ? bootstrap : await lookAsBootstrap(host, join, { ...bootstrap, signal });
  return { credential: false, node: undefined, obstacle, remarks: [] };
}

/** kubelet knows one server: where that does not answer, it is worth knowing which other one does. */
async function withOtherServer(
  obstacle: NodekilnError | undefined,
  { host, join: { servers, ca }, signal }: Looking,
): Promise<NodekilnError | undefined> {
  const [, ...others] = servers;
  if (obstacle?.code !== 'NK_CLUSTER_UNREACHABLE' || others.length === 0) return obstacle;
  const answers = await Promise.all(
    others.map((server) =>
      ask(host, { server, ca, signal }, { path: '/version' }).then(
        () => server,
        () => undefined,
      ),
    ),
  );
  const other = answers.find((server) => server !== undefined);
  if (other === undefined) return obstacle;
  return new NodekilnError(obstacle.code, obstacle.message, {
    cause: obstacle.cause,
    hint: `${other} answers, and kubelet knows one server alone: name that first in cluster.servers, or an address that leads to all of them.`,
  });
}

/** It is there, or will be at the next start. */
async function isAgentHere({ units }: Host): Promise<boolean> {
  try {
    if ((await units.enablement(agentUnit)).startsWith('enabled')) return true;
    return ['active', 'activating'].includes((await units.get(agentUnit)).activeState);
  } catch {
    return false;
  }
}

// ── who asks ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** What kubelet uses; undefined while its certificate is not there or holds no longer. */
async function credentialOf(host: Host, join: Join): Promise<Api | undefined> {
  try {
    const api = await readKubeconfig(host.files, join.kubeconfig);
    const [certificate] = certificatesIn(api.clientCertificate?.cert ?? '') ?? [];
    if (api.clientCertificate && (!certificate || host.clock.now() >= certificate.notAfter)) return undefined;
    return api;
  } catch {
    // kubelet has not written it yet, or is about to.
    return undefined;
  }
}

/** The server with the token that kubelet shows it, or why there is none. */
async function bootstrapOf(host: Host, { servers, ca, token }: Join): Promise<Api | NodekilnError> {
  const [server = ''] = servers;
  const api = { server, ca };
  if (!token)
    return new NodekilnError('NK_CLUSTER_CREDENTIAL_MISSING', 'kubelet has no certificate that holds, and no token');
  if ('value' in token) return { ...api, token: token.value.sensitive };
  const malformed = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_CLUSTER_TOKEN_MALFORMED', `the bootstrap token in ${token.file} ${why}`, { cause });
  try {
    const text = textOf(await host.files.read(token.file))?.trim();
    if (text === undefined) return malformed('is not there');
    return /^[\w.-]+$/.test(text) ? { ...api, token: text } : malformed('is none');
  } catch (cause) {
    return malformed('cannot be read', cause);
  }
}

// ── before the certificate ───────────────────────────────────────────────────────────────────────────────────────

const review = {
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SelfSubjectAccessReview',
  spec: {
    resourceAttributes: { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', verb: 'create' },
  },
};

/** Why kubelet has no certificate, as far as its token can find out. */
async function lookAsBootstrap(host: Host, join: Join, api: Api): Promise<NodekilnError | undefined> {
  const { clock } = host;
  const { server } = api;
  let answer: Answer;
  try {
    answer = await ask(host, api, { path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', post: review });
  } catch (thrown) {
    if (api.signal?.aborted === true) throw thrown;
    return noAnswer(thrown);
  }
  const apart = clocksApart(server, clock.now(), answer.serverTime);
  if (apart) return apart;
  if (answer.status === 401)
    return new NodekilnError('NK_CLUSTER_TOKEN_REFUSED', `the API server ${server} does not know the bootstrap token`);
  if (answer.status === 403 || (answer.status === 201 && at(answer.body, 'status', 'allowed') !== true))
    return new NodekilnError(
      'NK_CLUSTER_TOKEN_FORBIDDEN',
      `the API server ${server} does not let the bootstrap token ask for a certificate`,
    );
  if (answer.status !== 201) return unexpected(server, answer.status);
  return requestObstacle(await requests({ host, api, signer: 'kubernetes.io/kube-apiserver-client-kubelet', join }));
}

interface CertificateRequest {
  readonly name: string;
  readonly state: 'pending' | 'approved' | 'issued' | 'refused';
  readonly why: string;
}

/** Requests for the certificate of this node, the newest last; none where they may not be read. */
async function requests({
  host,
  api,
  signer,
  join,
}: {
  readonly host: Host;
  readonly api: Api;
  readonly signer: string;
  readonly join: Join;
}): Promise<CertificateRequest[]> {
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const query = { limit: '500', fieldSelector: `spec.signerName=${signer}` };
  const { body } = await ask(host, api, { path, query }).catch(() => ({ body: undefined }));
  return listAt(body, 'items')
    .filter((item) => isForNode(item, join.nodeName) && isOf(item, requesterOf(api)))
    .toSorted((a, b) => (created(a) < created(b) ? -1 : 1))
    .map((item) => {
      const conditions = listAt(item, 'status', 'conditions');
      const refusal = conditions.find((one) => ['Denied', 'Failed'].includes(textAt(one, 'type')));
      return {
        name: textAt(item, 'metadata', 'name'),
        state: refusal ? 'refused' : unrefused(item),
        why: textAt(refusal, 'message') || textAt(refusal, 'reason'),
      };
    });
}

/** As whom a bootstrap token asks; undefined where the API server alone knows. */
function requesterOf({ token }: Api): string | undefined {
  const [, id] = /^([a-z0-9]{6})\.[a-z0-9]{16}$/.exec(token ?? '') ?? [];
  return id === undefined ? undefined : `system:bootstrap:${id}`;
}

/** Another machine of this name asks with a token of its own, and what becomes of that says nothing of ours. */
function isOf(item: unknown, requester: string | undefined): boolean {
  return requester === undefined || textAt(item, 'spec', 'username') === requester;
}

function unrefused(item: unknown): CertificateRequest['state'] {
  if (textAt(item, 'status', 'certificate') !== '') return 'issued';
  return listAt(item, 'status', 'conditions').length > 0 ? 'approved' : 'pending';
}

const created = (item: unknown): string => textAt(item, 'metadata', 'creationTimestamp');

/** The subject stands in the request as it is: its common name ends where a tag or the end of a name follows. */
function isForNode(item: unknown, nodeName: string): boolean {
  const pem = textOf(fromBase64(textAt(item, 'spec', 'request')));
  const der = latin1Of(fromBase64(pem.replaceAll(/-----[A-Z ]+-----/g, '')));
  const name = `system:node:${nodeName}`;
  const start = der.indexOf(name);
  return start >= 1 && der.charCodeAt(start - 1) === name.length;
}

function requestObstacle(found: readonly CertificateRequest[]): NodekilnError | undefined {
  // What was issued and is not here is another machine's, or on its way.
  const last = found.findLast(({ state }) => state !== 'issued');
  if (last?.state === 'pending')
    return new NodekilnError(
      'NK_CLUSTER_REQUEST_PENDING',
      `the certificate request ${last.name} waits for somebody to approve it`,
      {
        hint: `On the cluster: \`kubectl certificate approve ${last.name}\`.`,
      },
    );
  if (last?.state === 'approved')
    return new NodekilnError(
      'NK_CLUSTER_REQUEST_PENDING',
      `the certificate request ${last.name} is approved, and nobody has signed it`,
      {
        hint: 'Does kube-controller-manager run, with the key of the cluster’s authority (--cluster-signing-key-file)?',
      },
    );
  if (last?.state !== 'refused') return undefined;
  const why = last.why === '' ? '' : `: ${last.why}`;
  return new NodekilnError(
    'NK_CLUSTER_REQUEST_DENIED',
    `the certificate request ${last.name} was denied or failed${why}`,
  );
}

// ── with the certificate ─────────────────────────────────────────────────────────────────────────────────────────

interface AsNode {
  readonly host: Host;
  readonly join: Join;
  readonly api: Api;
  readonly identity: MachineIdentity;
  readonly hasAgent: boolean;
}

async function lookAsNode({ host, join, api, identity, hasAgent }: AsNode): Promise<Sight> {
  const { clock } = host;
  const { server } = api;
  const { nodeName } = join;
  const seen = (part: Partial<Sight>): Sight => ({
    credential: true,
    node: undefined,
    obstacle: undefined,
    remarks: [],
    ...part,
  });
  let answer: Answer;
  try {
    answer = await ask(host, api, { path: `/api/v1/nodes/${nodeName}` });
  } catch (thrown) {
    if (api.signal?.aborted === true) throw thrown;
    return seen({ obstacle: noAnswer(thrown) });
  }
  const { status, body, serverTime } = answer;
  if (status === 404) return seen({ obstacle: clocksApart(server, clock.now(), serverTime) });
  if (status === 401 || status === 403) {
    const about =
      status === 401
        ? 'does not accept kubelet’s certificate'
        : `does not let kubelet’s certificate be the Node ${nodeName}`;
    const refused = new NodekilnError(
      'NK_CLUSTER_CREDENTIAL_REFUSED',
      `the API server ${server} ${about} (status ${status})`,
    );
    return seen({ obstacle: clocksApart(server, clock.now(), serverTime) ?? refused });
  }
  if (status !== 200 || textAt(body, 'kind') !== 'Node') return seen({ obstacle: unexpected(server, status) });
  const ours = isOurs(body, identity);
  const other = ours ? undefined : await takenBy(body, { host, join, api, identity, hasAgent });
  return seen({
    node: {
      ...readiness(body),
      hasPodCidr: textAt(body, 'spec', 'podCIDR') !== '',
      ours,
      createdAt: Date.parse(created(body)),
      lacking: lackingIn(body, join.node),
      hasAgent,
      isKept: at(body, 'metadata', 'annotations', ownedAnnotation) !== undefined,
    },
    obstacle: other,
    remarks: join.servingByCluster ? await servingRemarks({ host, api, join }) : [],
  });
}

function readiness(node: unknown): Pick<NodeSight, 'ready' | 'why'> {
  const condition = listAt(node, 'status', 'conditions').find((one) => textAt(one, 'type') === 'Ready');
  return {
    ready: textAt(condition, 'status') === 'True',
    why: textAt(condition, 'message') || textAt(condition, 'reason'),
  };
}

function isOurs(node: unknown, identity: MachineIdentity): boolean {
  return isSameMachine(machineOf(node), identity);
}

function machineOf(node: unknown): ToldMachine {
  const told = (field: string): string => textAt(node, 'status', 'nodeInfo', field);
  return { machineID: told('machineID'), systemUUID: told('systemUUID') };
}

/** The machine that has this name, if it lives; one that is gone leaves its Node to whoever comes after it. */
async function takenBy(node: unknown, { host, join, api, identity }: AsNode): Promise<NodekilnError | undefined> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${join.nodeName}`;
  const { body, serverTime } = await ask(host, api, { path }).catch(() => ({
    body: undefined,
    serverTime: undefined,
  }));
  const now = serverTime ?? host.clock.now();
  const heartbeat = listAt(node, 'status', 'conditions').map((one) => textAt(one, 'lastHeartbeatTime'));
  // kubelet makes its Lease some seconds after its Node.
  const signs = [textAt(body, 'spec', 'renewTime'), created(node), ...heartbeat].map((time) => Date.parse(time));
  if (!signs.some((time) => now - time <= leaseMs)) return undefined;
  return new NodekilnError(
    'NK_CLUSTER_NAME_TAKEN',
    `the Node ${join.nodeName} is another machine’s, and it lives: ${otherMachine(machineOf(node), identity)}`,
  );
}

async function servingRemarks(about: Omit<Parameters<typeof requests>[0], 'signer'>): Promise<string[]> {
  const last = (await requests({ ...about, signer: 'kubernetes.io/kubelet-serving' })).at(-1);
  if (last?.state !== 'pending') return [];
  return [
    `the certificate request ${last.name}, for kubelet’s own API, waits for somebody: \`kubectl certificate approve ${last.name}\`; until then logs, exec and port-forward fail`,
  ];
}
