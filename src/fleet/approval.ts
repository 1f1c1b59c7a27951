/**
 * Which requests for certificates are approved: one set of rules, for whoever approves. A request of an agent counts only when
 * subject, usages, lifetime and requester fit each other; whatever else comes is somebody else's to judge. Pure.
 */
import { isNodeName } from '../config/cluster-checks.ts';
import { equalBytes } from '../model/bytes.ts';
import { addressBytes } from '../model/ip-address.ts';
import { agentGroup, nodeOfAgent } from '../model/agent-identity.ts';
import type { ReadRequest } from '../model/certificate-request.ts';

/** A CertificateSigningRequest, as far as it is judged. */
export interface JudgedRequest {
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
  /** Who asks, as the API server found out. */
  readonly username: string;
  readonly groups: readonly string[];
  /** What is in it; undefined when it is none, or its signature is not good. */
  readonly request: ReadRequest | undefined;
}

export interface Judged {
  /** `left`: not ours to judge. */
  readonly verdict: 'approved' | 'denied' | 'left';
  /** A sentence for the condition. */
  readonly why: string;
  /** The node it is about, once that is known. */
  readonly nodeName?: string;
}

export interface Known {
  /** Whether the cluster has a Node of this name. */
  hasNode(name: string): boolean;
}

const clientSigner = 'kubernetes.io/kube-apiserver-client';
const neededUsages = ['client auth', 'digital signature'];
const allowedUsages = new Set([...neededUsages, 'key encipherment']);
const bootstrapGroup = 'system:bootstrappers';
const longestSeconds = 366 * 24 * 3600;

/** Of requests that agents make for themselves; every other one is left. */
export function judgeAgentRequest(asked: JudgedRequest, known: Known): Judged {
  const { request, username, groups } = asked;
  if (asked.signerName !== clientSigner) return left('it is for another signer');
  // Somebody who asks as an agent, or for an agent's rights, is ours; whatever else is wrong with it.
  const isOurs =
    nodeOfAgent(username) !== undefined ||
    (request && (nodeOfAgent(request.commonName) !== undefined || request.organizations.includes(agentGroup)));
  if (isOurs !== true) return left('it is not for an agent of nodekiln');
  if (!request) return denied('what it holds is no request, or its signature is not good');
  const nodeName = nodeOfAgent(request.commonName) ?? '';
  if (!isNodeName(nodeName)) return denied('its common name is not that of an agent');
  const deny = (why: string): Judged => ({ ...denied(why), nodeName });
  if (request.organizations.length !== 1 || request.organizations[0] !== agentGroup)
    return deny('its organization is not the group of agents alone');
  if (request.hasOtherNames) return deny('its subject has other names');
  if (request.hasExtensions) return deny('it asks for extensions');
  const usages = new Set(asked.usages);
  if (!neededUsages.every((usage) => usages.has(usage)) || [...usages].some((usage) => !allowedUsages.has(usage)))
    return deny('its usages are not those of a client');
  if ((asked.expirationSeconds ?? 0) > longestSeconds) return deny('it asks for more than a year');
  const requester = nodeOfAgent(username);
  if (requester !== undefined)
    return requester === nodeName && groups.includes(agentGroup)
      ? { verdict: 'approved', why: 'an agent renews its own certificate', nodeName }
      : deny('an agent may ask for itself only');
  // Whoever has kubelet's key is root on that node, and so could be its agent.
  if (username === `system:node:${nodeName}` && groups.includes('system:nodes'))
    return { verdict: 'approved', why: 'the kubelet of the node asks for its agent', nodeName };
  if (!username.startsWith('system:bootstrap:') || !groups.includes(bootstrapGroup))
    return deny('who asks is neither this agent, nor the kubelet of its node, nor has a bootstrap token');
  // The token is good for any machine: whoever has one must not become the agent of a node that is there already.
  if (known.hasNode(nodeName))
    return deny('the cluster has a Node of this name, and a bootstrap token is for new ones');
  return { verdict: 'approved', why: 'a new node gets the certificate of its agent', nodeName };
}

/** What a node may be called and where it may be reached, as the cluster has it. */
export type NodeAddresses = readonly { readonly type: string; readonly address: string }[];

const servingSigner = 'kubernetes.io/kubelet-serving';
const servingUsages = new Set(['server auth', 'digital signature', 'key encipherment']);

/**
 * Of requests that kubelets make for what they serve (`serverTLSBootstrap`): approved for names and addresses that the Node of
 * the kubelet has, since the API server talks to it by these. `addresses`: undefined where there is no such Node.
 */
export function judgeServingRequest(asked: JudgedRequest, addresses: NodeAddresses | undefined): Judged {
  const { request, username, groups } = asked;
  if (asked.signerName !== servingSigner) return left('it is for another signer');
  const nodeName = username.startsWith('system:node:') ? username.slice('system:node:'.length) : '';
  if (!isNodeName(nodeName) || !groups.includes('system:nodes')) return left('it is of no kubelet');
  const deny = (why: string): Judged => ({ ...denied(why), nodeName });
  if (!request) return deny('what it holds is no request, or its signature is not good');
  if (request.commonName !== username) return deny('a kubelet may ask for itself only');
  if (request.organizations.length !== 1 || request.organizations[0] !== 'system:nodes')
    return deny('its organization is not system:nodes alone');
  if (request.hasOtherNames) return deny('its subject has other names');
  const usages = new Set(asked.usages);
  if (!usages.has('server auth') || [...usages].some((usage) => !servingUsages.has(usage)))
    return deny('its usages are not those of a server');
  if ((asked.expirationSeconds ?? 0) > longestSeconds) return deny('it asks for more than a year');
  const { serverNames } = request;
  if (!serverNames) return deny('it asks for something other than names of a server');
  if (!addresses) return deny('the cluster has no Node of this name');
  const names = new Set(addresses.map(({ address }) => address.toLowerCase()));
  const known = addresses.flatMap(({ address }) => addressBytes(address) ?? []);
  const isForeign =
    serverNames.dns.some((name) => !names.has(name.toLowerCase())) ||
    serverNames.addresses.some((address) => !known.some((one) => equalBytes(one, address)));
  if (isForeign) return deny('it asks for a name or an address that its Node does not have');
  return { verdict: 'approved', why: 'a kubelet serves what its Node is called', nodeName };
}

function left(why: string): Judged {
  return { verdict: 'left', why };
}

function denied(why: string): Judged {
  return { verdict: 'denied', why };
}
