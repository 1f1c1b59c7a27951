/**
 * What a host already has of a network, against what a document asks for: another's pod network, a resolver that pods do not
 * reach, routes that forwarding would take away. Pure.
 */
import type { NodeSpec } from '../config/complete.ts';
import type { SysctlItem } from '../config/complete-items.ts';
import { familiesIn } from '../config/address-families.ts';
import { policyDefaults } from '../config/defaults.ts';
import type { Path } from '../config/paths.ts';
import type { Facts } from '../model/facts.ts';
import { basename, dirname } from '../model/path.ts';
import { cniFolder, ownNetworkFolder } from './pod-network.ts';

/** A remark, and which part of the document it is about. */
export interface Remark {
  readonly path: Path;
  readonly message: string;
}

/** Which containerd, CRI-O and podman bring as examples: no pod network of a cluster. */
const examples =
  /^(?:10-containerd-net|100-crio-bridge|11-crio-ipv4-bridge|10-crio-bridge|87-podman(?:-bridge)?)\.conf(?:list)?$/;

/** Pod networks that others brought, where one of them wins over the document's, or is passed over for it. */
export function networkRemarks({ network, files }: Pick<NodeSpec, 'network' | 'files'>, facts: Facts): Remark[] {
  const path = ['spec', 'network', 'cni'];
  const asked = files.map((file) => file.path).filter((file) => dirname(file) === cniFolder);
  const others = (facts.podNetworks ?? []).filter(
    (file) => !asked.includes(file) && basename(file) !== '10-nodekiln.conflist',
  );
  if (network.cni.type === 'bridge')
    return [...others, ...asked].map((file) => ({
      path,
      message: `${file} is passed over: the pod network is the bridge of the document, and containerd looks in ${ownNetworkFolder} alone`,
    }));
  const [first] = asked.map((file) => basename(file)).sort();
  return others
    .filter((file) => (first === undefined ? examples.test(basename(file)) : basename(file) < first))
    .map((file) => ({
      path,
      message:
        first === undefined
          ? `${file} came with the machine, an example of a pod network: containerd takes it until there is one whose name sorts before it`
          : `${file} sorts before ${first}: containerd takes that network, not the document’s`,
    }));
}

/** The file of resolvers that kubelet gives to pods; undefined where its own default will do. */
export function podResolvConf({ resolvConf }: Facts): string | undefined {
  return resolvConf === 'none' ? undefined : resolvConf;
}

/** kubelet looks for an IPv4 address of its node unless told to look for the other; undefined where that will do. */
export function nodeIpOf(spec: NodeSpec): string | undefined {
  const families = familiesIn(spec);
  return spec.kubelet.nodeIp ?? (spec.cluster && families.has('IPv6') && !families.has('IPv4') ? '::' : undefined);
}

/** Pods would be given a resolver that they do not reach. */
export function resolverRemarks({ kubelet }: Pick<NodeSpec, 'kubelet'>, { resolvConf }: Facts): Remark[] {
  const isSaid = kubelet.configuration['resolvConf'] !== undefined || kubelet.flags['resolv-conf'] !== undefined;
  if (resolvConf !== 'none' || isSaid) return [];
  const message =
    '/etc/resolv.conf names only resolvers on the host itself, which pods do not reach: name a file with others in `resolvConf`';
  return [{ path: ['spec', 'kubelet', 'configuration'], message }];
}

const forwarding = 'net.ipv6.conf.all.forwarding';

/** Who forwards takes no router advertisements any more, unless told to: the machine would lose its own routes. */
export function keepHeardRouters(sysctls: readonly SysctlItem[], { raLinks = [] }: Facts): SysctlItem[] {
  if (!sysctls.some(({ key, value }) => key === forwarding && String(value) === '1')) return [];
  return raLinks
    .map((link) => `net.ipv6.conf.${link.replaceAll('.', '/')}.accept_ra`)
    .filter((key) => !sysctls.some((sysctl) => sysctl.key === key))
    .map((key) => ({ ...policyDefaults, needs: [], key, value: '2', importance: 'bestEffort' }));
}
