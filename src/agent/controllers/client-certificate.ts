/**
 * The agent's own certificate: asked for with the bootstrap token, renewed with itself between seven and nine tenths of its
 * time, or with the token again once it has expired. The key is new each time, and on the disk before it is asked with: an
 * agent that is killed meanwhile asks again for the same. The bootstrap token goes when the certificate is there.
 */
import { NodekilnError } from '../../errors.ts';
import { sha256 } from '../../host/digest.ts';
import type { Host } from '../../host/port.ts';
import { createKubeApi } from '../../kube/api.ts';
import { requestCertificate } from '../../kube/certificate-request.ts';
import { createKubeClient, type ClientOf } from '../../kube/client.ts';
import { KubeApiError } from '../../kube/error.ts';
import type { ApiServer } from '../../kube/kubeconfig.ts';
import { agentGroup, agentUser } from '../../model/agent-identity.ts';
import { certificatesIn } from '../../model/certificate.ts';
import { agentFolder } from '../../model/state-paths.ts';
import { keptKey, secretFile } from '../kept-key.ts';
import { agentCertificatePath } from '../identity.ts';
import { readOwnCertificate } from '../own-certificate.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const nextKeyPath = `${agentFolder}/client-next.key`;
const validityMs = 30 * 24 * 3_600_000;
const resyncMs = 60_000;
/** Beyond the quarter of an hour that somebody may take to approve. */
const deadlineMs = 16 * 60_000;

/** Undefined without a cluster, and where a kubeconfig of somebody else's says who we are. */
export function clientCertificate({
  host,
  cluster,
  config,
  certificateErrand,
}: AgentContext): ControllerBody | undefined {
  if (!cluster?.identity.isOwn) return undefined;
  const { identity, nodeName } = cluster;
  const tokenFile = config.cluster?.bootstrapTokenFile;
  return {
    // Other authorities sign, perhaps, long before its time is over.
    inputs: [{ name: 'rotation', watch: (signal) => certificateErrand.watch(signal) }],
    outputs: [`file:${agentCertificatePath}`],
    resyncMs,
    deadlineMs,
    reconcile: async ({ signal }) => {
      const current = await readCurrent(host, nodeName);
      const nowMs = host.clock.now();
      if (current && nowMs < current.renewAtMs && !certificateErrand.isWanted) {
        await removeToken(host, tokenFile);
        return { outcome: 'done' };
      }
      const bootstrap = current && nowMs < current.notAfter ? undefined : await identity.bootstrap();
      if (!bootstrap && !(current && nowMs < current.notAfter))
        return {
          outcome: 'failed',
          error: new NodekilnError(
            'NK_CLUSTER_CREDENTIAL_MISSING',
            current
              ? 'the agent’s certificate has expired, and there is no bootstrap token'
              : 'the agent has neither a certificate nor a bootstrap token',
            { hint: 'Give cluster.bootstrapToken in the AgentConfig, or write one into cluster.bootstrapTokenFile.' },
          ),
        };
      const api = bootstrap
        ? createKubeApi(createKubeClient(host, ofEach(identity.servers, bootstrap)), host.clock)
        : cluster.api;
      const key = await keptKey(host, nextKeyPath);
      const wanted = {
        key,
        commonName: agentUser(nodeName),
        organizations: [agentGroup],
        prefix: 'nodekiln-agent',
        validityMs,
      };
      const ask = { api, clock: host.clock, signatures: host.signatures, signal };
      const pem = await requestCertificate(ask, wanted).catch((thrown: unknown) => {
        throw bootstrap?.token === undefined ? thrown : ofToken(thrown, api.where);
      });
      if (!isFor(pem, nodeName))
        throw new NodekilnError('NK_CLUSTER_REQUEST_DENIED', 'the cluster issued a certificate for somebody else');
      await host.files.write([secretFile(agentCertificatePath, `${pem.trimEnd()}\n${key}`)]);
      await host.files.remove([nextKeyPath]);
      identity.renewed();
      certificateErrand.done();
      await removeToken(host, tokenFile);
      return { outcome: 'done' };
    },
  };
}

/** The API server at whichever of its addresses answers. */
function ofEach(servers: readonly string[], shown: ApiServer): ClientOf {
  return { servers, credentials: () => Promise.resolve(shown) };
}

interface Current {
  readonly notAfter: number;
  readonly renewAtMs: number;
}

/** Undefined when there is none to show. */
async function readCurrent(host: Host, nodeName: string): Promise<Current | undefined> {
  const own = await readOwnCertificate(host, nodeName);
  if (!own) return undefined;
  const { pem, notBefore, notAfter } = own;
  // The same each time, another for each certificate: agents that got theirs together do not renew them together.
  const fraction = Number.parseInt(sha256(pem).slice('sha256:'.length, 'sha256:'.length + 8), 16) / 2 ** 32;
  return { notAfter, renewAtMs: notBefore + (notAfter - notBefore) * (0.7 + 0.2 * fraction) };
}

function isFor(pem: string, nodeName: string): boolean {
  const [certificate] = certificatesIn(pem) ?? [];
  return certificate?.commonName === agentUser(nodeName);
}

/** What becomes of a bootstrap token, by the codes that a boot says it by. */
function ofToken(thrown: unknown, where: string): unknown {
  if (!(thrown instanceof KubeApiError)) return thrown;
  if (thrown.status === 401)
    return new NodekilnError('NK_CLUSTER_TOKEN_REFUSED', `the API server ${where} does not know the bootstrap token`, {
      cause: thrown,
    });
  if (thrown.status !== 403) return thrown;
  return new NodekilnError(
    'NK_CLUSTER_TOKEN_FORBIDDEN',
    `the API server ${where} does not let the bootstrap token ask for a certificate`,
    { cause: thrown },
  );
}

/** A token is good for more than this node. One of systemd's credentials cannot be removed, and goes with its unit. */
async function removeToken({ files }: Host, path: string | undefined): Promise<void> {
  if (path === undefined || path.startsWith('/run/credentials/')) return;
  await files.remove([path]);
}
