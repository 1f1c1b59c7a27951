/**
 * The network that a bridge on the host gives pods, as CNI is told of it: with the subnet of a document, or with the Node's
 * podCIDRs, which only the cluster knows. Pure.
 *
 * kubelet tells containerd the podCIDRs as soon as the Node has them, and containerd fills a template with them (`conf_template`
 * of its CRI part: `PodCIDRRanges` and `Routes`), once, where there is no network yet. So the folder of what it writes is one that
 * a reboot empties, and another one for each template.
 */
import type { CniItem } from '../config/complete.ts';
import { nothingLeft } from '../config/completion.ts';
import { podCidr } from '../config/cluster-checks.ts';
import { subnetsOf } from '../model/ip-address.ts';
import { sha256 } from '../host/digest.ts';
import { stableJson } from './stable.ts';

/** Where containerd looks unless told otherwise, and takes the first of those that it finds, whoever brought it. */
export const cniFolder = '/etc/cni/net.d';
/** Where it is told to look for a network of ours: another's, such as a base image's example, has no say there. */
export const ownNetworkFolder = '/etc/cni/nodekiln.d';
export const podNetworkTemplatePath = '/etc/containerd/nodekiln-bridge.conflist.template';

type Bridge = Omit<CniItem, 'type' | 'binDir'>;

/** Whether it is the cluster that says which addresses pods have. */
export function isOfNode({ type, subnet }: Pick<CniItem, 'type' | 'subnet'>): boolean {
  return type === 'bridge' && subnet === podCidr;
}

/** The file that says which network it is. */
export interface PodNetwork {
  readonly path: string;
  readonly text: string;
  /** Where containerd looks for it. */
  readonly folder: string;
  /** The file is a template, and containerd fills it into the folder. */
  readonly isTemplate: boolean;
}

export function podNetworkOf({ subnet = '', ...bridge }: Bridge): PodNetwork {
  if (subnet !== podCidr) {
    const subnets = subnetsOf(subnet);
    const text = network(bridge, rangesOf(subnets), routesOf(subnets));
    return { path: `${ownNetworkFolder}/10-nodekiln.conflist`, text, folder: ownNetworkFolder, isTemplate: false };
  }
  const text = podNetworkTemplate(bridge);
  return { path: podNetworkTemplatePath, text, folder: filledFolder(text), isTemplate: true };
}

const rangesInTemplate = 'ranges of podCIDRs';
const routesInTemplate = 'routes of podCIDRs';
const rangesForContainerd = '[{{range $i, $cidr := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$cidr}}"}]{{end}}]';
const routesForContainerd = '[{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]';

function podNetworkTemplate(bridge: Omit<Bridge, 'subnet'>): string {
  return (
    network(bridge, rangesInTemplate, routesInTemplate)
      // What the document says is no template: in JSON these two stand only in its texts.
      .replaceAll('{{', String.raw`\u007b{`)
      .replace(JSON.stringify(rangesInTemplate), () => rangesForContainerd)
      .replace(JSON.stringify(routesInTemplate), () => routesForContainerd)
  );
}

/** What containerd makes of a template of ours, to the byte. */
export function filledTemplate(template: string, podCidrs: readonly string[]): string {
  const list = (items: readonly string[]): string => `[${items.join(', ')}]`;
  return template
    .replace(rangesForContainerd, () => list(podCidrs.map((subnet) => `[{"subnet": ${JSON.stringify(subnet)}}]`)))
    .replace(routesForContainerd, () => list(routesOf(podCidrs).map(({ dst }) => `{"dst": ${JSON.stringify(dst)}}`)));
}

function filledFolder(template: string): string {
  return `/run/nodekiln-cni/${sha256(template).slice('sha256:'.length, 'sha256:'.length + 8)}`;
}

/** What containerd makes of this template, and looks for; the name is its own. */
export function filledPath(template: string): string {
  return `${filledFolder(template)}/10-containerd-net.conflist`;
}

function rangesOf(subnets: readonly string[]): unknown {
  return subnets.map((subnet) => [{ subnet }]);
}

/** Everywhere, in each family that pods have addresses of; IPv4 first, as containerd has it. */
function routesOf(subnets: readonly string[]): { readonly dst: string }[] {
  const isSix = (subnet: string): boolean => subnet.includes(':');
  return [
    ...(subnets.some((subnet) => !isSix(subnet)) ? [{ dst: '0.0.0.0/0' }] : []),
    ...(subnets.some(isSix) ? [{ dst: '::/0' }] : []),
  ];
}

function network(
  { bridge = 'cni0', masquerade = true, mtu, ...rest }: Omit<Bridge, 'subnet'>,
  ranges: unknown,
  routes: unknown,
): string {
  nothingLeft(rest);
  return stableJson({
    cniVersion: '1.0.0',
    name: 'nodekiln',
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        // Else a bridge that has an address of another subnet takes no pod any more.
        forceAddress: true,
        ipMasq: masquerade,
        hairpinMode: true,
        ...(mtu !== undefined && { mtu }),
        ipam: { type: 'host-local', ranges, routes },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  });
}
