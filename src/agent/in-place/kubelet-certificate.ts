/**
 * A new client certificate for kubelet before its time, as after a rotation of the cluster's authorities. kubelet itself asks
 * only when the old one nears its end. It is asked for as kubelet, with the certificate that it has, and takes that one's place
 * by one link: whoever dies meanwhile leaves kubelet with the old one or with the new one.
 */
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import { createKubeApi } from '../../kube/api.ts';
import { kubeletSigner, requestCertificate } from '../../kube/certificate-request.ts';
import { createKubeClient } from '../../kube/client.ts';
import { readKubeconfig } from '../../kube/kubeconfig.ts';
import { certificatesIn } from '../../model/certificate.ts';
import { nodeCertificatePath } from '../../model/facts.ts';
import { agentFolder } from '../../model/state-paths.ts';
import { keptKey, secretFile } from '../kept-key.ts';

const nextKeyPath = `${agentFolder}/kubelet-next.key`;
const folder = nodeCertificatePath.slice(0, nodeCertificatePath.lastIndexOf('/'));
/** The cluster shortens it as it likes; a year is what kube-controller-manager gives by default. */
const validityMs = 365 * 24 * 3_600_000;

/** kubelet's own, by nodekiln and by Gardener. */
const kubeconfigs = ['/var/lib/kubelet/kubeconfig', '/var/lib/kubelet/kubeconfig-real'];

/**
 * False when kubelet has no certificate of the cluster's to renew. It takes effect with kubelet's next start. Errors of the API,
 * of the request, and NK_CLUSTER_CREDENTIAL_MISSING where no kubeconfig of kubelet's shows the certificate.
 */
export async function renewKubeletCertificate(host: Host, nodeName: string, signal: AbortSignal): Promise<boolean> {
  const { files, signatures, clock } = host;
  if (!(await files.stat(nodeCertificatePath))) return false;
  const user = `system:node:${nodeName}`;
  const server = await kubeletServer(host, user);
  const key = await keptKey(host, nextKeyPath);
  const pem = await requestCertificate(
    { api: createKubeApi(createKubeClient(host, server), clock), clock, signatures, signal },
    {
      key,
      commonName: user,
      organizations: ['system:nodes'],
      prefix: 'nodekiln-kubelet',
      validityMs,
      signerName: kubeletSigner,
    },
  );
  if (certificatesIn(pem)?.[0]?.commonName !== user)
    throw new NodekilnError('NK_CLUSTER_REQUEST_DENIED', 'the cluster issued a certificate for somebody else');
  const stamp = new Date(clock.now()).toISOString().slice(0, 19).replaceAll(':', '-').replace('T', '-');
  const path = `${folder}/kubelet-client-${stamp}.pem`;
  await files.write([secretFile(path, `${pem.trimEnd()}\n${key}`)]);
  await files.write([{ type: 'symlink', path: nodeCertificatePath, target: path }]);
  // What the old authorities signed for kubelet's own server is asked for anew at its start.
  await files.remove([`${folder}/kubelet-server-current.pem`, nextKeyPath]);
  return true;
}

async function kubeletServer({ files }: Host, user: string) {
  for (const path of kubeconfigs) {
    const server = await readKubeconfig(files, path).catch(() => undefined);
    if (certificatesIn(server?.clientCertificate?.cert ?? '')?.[0]?.commonName === user && server) return server;
  }
  throw new NodekilnError(
    'NK_CLUSTER_CREDENTIAL_MISSING',
    `none of ${kubeconfigs.join(' and ')} shows a certificate of ${user}`,
  );
}
