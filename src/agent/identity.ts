/**
 * Who the agent is in its cluster: the user and group of its certificate, where that lies, and what is shown to the API
 * server at each request. The certificate is another controller's to get and renew; it lies in one file with its key, so that
 * the two can never be of different times.
 *
 * Errors: NK_CLUSTER_CREDENTIAL_MISSING while there is no certificate, NK_DOCUMENT_MISSING for an authority that cannot be
 * read, NK_CLUSTER_TOKEN_MALFORMED for a bootstrap token that is none; what `readKubeconfig` throws.
 */
import type { AgentClusterItem } from '../config/agent-config.ts';
import { NodekilnError } from '../errors.ts';
import type { Files, Host } from '../host/port.ts';
import { kubeconfigCredentials, type Credentials } from '../kube/credentials.ts';
import { readKubeconfig, readKubeconfigWithPlugin, type ApiServer } from '../kube/kubeconfig.ts';
import { textOf } from '../model/bytes.ts';
import { certificatesIn } from '../model/certificate.ts';
import { agentFolder } from '../model/state-paths.ts';

/** Certificate, its chain and its key in PEM form. 0600. */
export const agentCertificatePath = `${agentFolder}/client-current.pem`;

/** Who an agent is. */
export interface AgentIdentity {
  /** `https://api.example.org:6443`, and further addresses of it. */
  readonly servers: readonly string[];
  /** The certificate is the agent's to get and renew. False: a kubeconfig of somebody else's. */
  readonly isOwn: boolean;
  /** What is shown now. */
  readonly credentials: Credentials;
  /**
   * What the first certificate is asked for with: kubelet's own, which proves that this is its node, else the bootstrap token;
   * undefined when there is neither. It goes for each of `servers`.
   */
  bootstrap(): Promise<ApiServer | undefined>;
  /** When there is something to show; NK_INTERRUPTED when the signal fires before. */
  available(signal: AbortSignal): Promise<void>;
  /** Whoever waits looks at once: a certificate has been written. */
  renewed(): void;
}

/**
 * Who may ask for this node's agent: kubelet, by the kubeconfig that nodekiln lets it have or that Gardener does, and the agent
 * that tended the node before.
 */
const otherIdentities = [
  '/var/lib/kubelet/kubeconfig',
  '/var/lib/kubelet/kubeconfig-real',
  '/var/lib/gardener-node-agent/credentials/kubeconfig',
];

/** Nobody need be in a hurry: who writes the certificate says so. */
const lookAgainMs = 5000;

/** Throws for a kubeconfig that cannot be used. */
export async function openIdentity(
  { files, clock, exec }: Pick<Host, 'files' | 'clock' | 'exec'>,
  cluster: AgentClusterItem,
  onTrouble?: (trouble: unknown) => void,
): Promise<AgentIdentity> {
  const { kubeconfig, context } = cluster;
  const chosen = context === undefined ? {} : { context };
  const servers =
    kubeconfig === undefined ? cluster.servers : [(await readKubeconfigWithPlugin(files, kubeconfig, chosen)).server];
  const [server = ''] = servers;
  let wake = Promise.withResolvers<void>();
  const credentials: Credentials =
    kubeconfig === undefined
      ? async () => ({ server, ...(await authority(files, cluster)), clientCertificate: await certificate(files) })
      : kubeconfigCredentials(files, kubeconfig, {
          ...chosen,
          programs: { exec, clock },
          ...(onTrouble && { onTrouble }),
        });
  return {
    servers,
    isOwn: kubeconfig === undefined,
    credentials,
    bootstrap: async () => {
      for (const path of otherIdentities) {
        const other = await readKubeconfig(files, path).catch(() => undefined);
        const [holding] = certificatesIn(other?.clientCertificate?.cert ?? '') ?? [];
        if (other && holding && clock.now() < holding.notAfter)
          return { ...other, server, ...(await authority(files, cluster)) };
      }
      const token = await bootstrapToken(files, cluster);
      return token === undefined ? undefined : { server, ...(await authority(files, cluster)), token };
    },
    available: async (signal) => {
      for (;;) {
        const found = await credentials().then(
          () => true,
          () => false,
        );
        if (found) return;
        const woken = new AbortController();
        const stop = (): void => woken.abort(signal.reason);
        signal.addEventListener('abort', stop, { once: true });
        try {
          await Promise.race([wake.promise, clock.sleep(lookAgainMs, woken.signal)]);
        } finally {
          signal.removeEventListener('abort', stop);
          woken.abort();
        }
      }
    },
    renewed: () => {
      wake.resolve();
      wake = Promise.withResolvers();
    },
  };
}

async function authority(files: Files, { caBundle, caFile }: AgentClusterItem): Promise<{ readonly ca?: string }> {
  if (caFile === undefined) return caBundle === undefined ? {} : { ca: caBundle };
  const ca = await readText(files, caFile);
  if (ca !== undefined && certificatesIn(ca) !== undefined) return { ca };
  throw new NodekilnError(
    'NK_DOCUMENT_MISSING',
    `${caFile} ${ca === undefined ? 'does not exist' : 'holds no certificates'}`,
    {
      place: { file: caFile },
      hint: 'Write the authority of the API server there, in PEM form.',
    },
  );
}

async function certificate(files: Files): Promise<NonNullable<ApiServer['clientCertificate']>> {
  const pem = await readText(files, agentCertificatePath);
  if (pem !== undefined) return { cert: pem, key: pem };
  throw new NodekilnError('NK_CLUSTER_CREDENTIAL_MISSING', 'the agent has no certificate yet', {
    hint: 'Give `cluster.bootstrapToken` in its AgentConfig, and see whether somebody approves its certificate request.',
  });
}

async function bootstrapToken(
  files: Files,
  { bootstrapToken: inline, bootstrapTokenFile: file }: AgentClusterItem,
): Promise<string | undefined> {
  if (inline) return inline.sensitive;
  if (file === undefined) return undefined;
  const text = (await readText(files, file))?.trim();
  if (text === undefined) return undefined;
  if (/^[\w.-]+$/.test(text)) return text;
  throw new NodekilnError('NK_CLUSTER_TOKEN_MALFORMED', `the bootstrap token in ${file} is none`);
}

async function readText(files: Files, path: string): Promise<string | undefined> {
  const content = await files.read(path, { maxBytes: 1024 * 1024 });
  return content && textOf(content);
}
