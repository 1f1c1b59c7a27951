/**
 * The schema of one NodeConfig source. Sources are merged (`merge.ts`), so everything is optional here;
 * `complete.ts` says what the merged whole must have. Fields of other people's schemas (KubeletConfiguration, pods,
 * containerd's TOML) are free maps.
 */
import { boolean, literal, record, refine, regex, union } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import {
  absolutePath,
  addressTemplate,
  anyLine,
  anyLines,
  anyText,
  asAddress,
  checkedAddress,
  containerdSettings,
  contentText,
  digest,
  doc,
  duration,
  environment,
  fields,
  flag,
  freeMap,
  keyedList,
  kubernetesVersion,
  list,
  matching,
  matchingAddress,
  name,
  numberFrom,
  oneOf,
  opt,
  registryHost,
  resourceId,
  secretText,
  template,
  text,
  timespan,
  url,
  wholeNumber,
  withoutProxy,
} from './schema-builders.ts';
import { wants, wantsSecret } from './schema-checks.ts';
import { isNodeAddress } from '../model/ip-address.ts';
import { isGoProxy, isIpAddress, isPodSubnet, isRepository } from './cluster-checks.ts';
import { actions, binaries, files, kernel, units } from './schema-items.ts';
import { apiServerUrl, bootstrapToken, caBundle, nodeName } from './schema-cluster.ts';
import { signature } from './schema-sources.ts';

export const apiVersion = 'nodekiln.dev/v1alpha1';

export const metadata = fields({
  name: opt('A name for people; nothing depends on it.', text()),
});

const ipAddress = checkedAddress(isIpAddress, 'an IP address');
const podSubnet = checkedAddress(
  isPodSubnet,
  'a subnet with room for pods, by its first address like "10.88.0.0/24", an IPv4 and an IPv6 subnet with a comma, or "podCIDR"',
);
const nodeAddresses = checkedAddress(isNodeAddress, 'one address, or an IPv4 and an IPv6 address with a comma');
/** Not shown in messages: somebody may have put a key here. */
const pem = contentText().check(
  // With text around them, as many tools write it (RFC 7468, 5.2).
  regex(/-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----/, {
    error: 'must be certificates in PEM form',
  }),
);

const kubernetes = fields({
  version: opt('The Kubernetes version of this node, `1.34.3`.', kubernetesVersion),
});

const cluster = fields({
  server: opt('URL of the API server.', apiServerUrl),
  servers: opt(
    'Instead of `server`: several addresses of the API server. kubelet knows one server, the first; where that does not answer, `nodekiln boot` says which other one does.',
    list(apiServerUrl),
  ),
  caBundle: opt('Certificates in PEM form that vouch for the API server and for its clients.', caBundle),
  bootstrapToken: opt(
    'Secret: the token kubelet asks for its first certificate with. It leaves the node when the certificate is there.',
    bootstrapToken,
  ),
  bootstrapTokenFile: opt(
    'Instead of `bootstrapToken`: a file on the host that holds it, also a credential of systemd’s, `/run/credentials/@system/kubelet`.',
    absolutePath,
  ),
  clientCertificate: opt(
    'Instead of a token: files on the host with the certificate kubelet shows to the API server, in PEM form.',
    fields({
      certificateFile: doc('The certificate.', absolutePath),
      keyFile: doc('Its key; may be the same file.', absolutePath),
    }),
  ),
  exec: opt(
    'Instead of a token: a program that says who kubelet is, client.authentication.k8s.io.',
    fields({
      command: doc('The program.', absolutePath),
      args: opt('Its arguments.', list(anyText())),
      env: opt('Further variables of its environment; never shown.', environment()),
      apiVersion: opt(
        'What it speaks. Default: client.authentication.k8s.io/v1.',
        oneOf('client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'),
      ),
    }),
  ),
  kubeconfig: opt('Instead of all these: a kubeconfig on the host that kubelet uses as it is.', absolutePath),
  servingCertificate: opt(
    '`cluster`: kubelet asks the cluster for the certificate of its own API, and somebody must approve it. `self-signed`: it makes one. Default: self-signed.',
    oneOf('self-signed', 'cluster'),
  ),
  dns: opt('Addresses of the cluster’s DNS service.', list(ipAddress)),
  domain: opt('Domain of the cluster. Default: cluster.local.', asAddress(text())),
});

const labelKey = matching(
  /^(?:(?=[^/]{1,253}\/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
  'a label key like "example.org/zone"',
);
const labelValue = matching(
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/,
  'a label value: at most 63 letters, digits, ".", "_" and "-"',
);

const taint = fields({
  key: doc('Key of the taint.', labelKey),
  value: opt('Value of the taint.', labelValue),
  effect: doc('What it does to pods that do not tolerate it.', oneOf('NoSchedule', 'PreferNoSchedule', 'NoExecute')),
});

const staticPod = fields({
  name: doc('Name of the manifest file in /etc/kubernetes/manifests, without its ending.', name),
  manifest: opt('The pod. Placed as it stands; kubelet judges it.', freeMap()),
});

const flagValue = union([anyLine(), wholeNumber(), boolean()], {
  error: wants('a string, a whole number, true or false'),
});

const kubelet = fields({
  configuration: opt(
    'Fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1), merged over the defaults: maps merge, lists replace, null removes a default.',
    freeMap(),
  ),
  flags: opt(
    'Command-line flags by name without dashes. A flag wins over the configuration. Those that nodekiln sets itself are refused, and those that repeat `labels`, `nodeIp` or `taints` when these are given.',
    record(matching(/^[a-z][a-z0-9-]*$/, 'the name of a flag without leading dashes, like "v"'), flagValue, {
      error: wants('a map'),
    }),
  ),
  labels: opt('Labels of the node.', record(labelKey, labelValue, { error: wants('a map') })),
  annotations: opt(
    'Annotations of the node; the agent keeps them.',
    record(labelKey, anyLines(), { error: wants('a map') }),
  ),
  taints: opt('Taints of the node.', list(taint)),
  nodeName: opt('Name of the node. Default: the host’s name in lower case.', nodeName),
  providerId: opt('What the cloud knows the machine by, `aws:///eu-west-1a/i-0123`.', text()),
  credentialProviders: opt(
    'Programs that kubelet asks for credentials of image registries.',
    fields({
      configuration: doc('CredentialProviderConfig (kubelet.config.k8s.io). Placed as it stands.', freeMap()),
      binDir: opt('Folder of the programs. Default: /usr/libexec/kubernetes/credential-providers.', absolutePath),
    }),
  ),
  nodeIp: opt('Address the node reports; kubelet finds one when absent.', nodeAddresses),
  staticPods: opt('Pods that kubelet runs without an API server; merged by name.', keyedList('name', staticPod)),
});

const mirror = fields({
  url: doc('URL of the mirror, asked before the registry itself.', url),
  capabilities: opt('What it is asked for. Default: pull and resolve.', list(oneOf('pull', 'resolve', 'push'))),
  overridePath: opt('The URL already names the API’s root, so /v2 is not appended.', flag()),
  caFile: opt('Certificates on the host that vouch for it.', absolutePath),
  skipVerify: opt('Do not check its certificate.', flag()),
});

const registry = fields({
  host: doc(
    'Registry as it stands in image references, `docker.io`, `registry.example.org:5000` or `[fd00::1]:5000`; `_default` for all others.',
    registryHost,
  ),
  server: opt('URL of the registry itself, when the mirrors have failed. Default: https://<host>.', url),
  mirrors: opt('Mirrors in the order to ask.', list(mirror)),
});

const containerd = fields({
  sandboxImage: opt(
    'Image of the pod sandbox. Default: containerd’s own.',
    matchingAddress(/^[^\s@:/]\S*$/, 'an image reference like "registry.k8s.io/pause:3.10"'),
  ),
  restrictOomScoreAdj: opt(
    'Do not go below our own OOM score: for hosts without CAP_SYS_RESOURCE. Default: false.',
    flag(),
  ),
  configuration: opt(
    'Further settings in the structure of containerd’s own config.toml, merged over ours: maps merge, lists replace, null removes.',
    containerdSettings(),
  ),
  registries: opt('Mirrors of registries; merged by host.', keyedList('host', registry)),
});

const proxyForm = 'a URL like "http://proxy.example.org:3128"';
const proxyUrl = asAddress(secretText(proxyForm).check(refine(isGoProxy, { error: wantsSecret(proxyForm) })));

const network = fields({
  proxy: opt(
    'Proxy of containerd and kubelet.',
    fields({
      http: opt('Proxy for http (may hold a password: not shown).', proxyUrl),
      https: opt('Proxy for https (may hold a password: not shown).', proxyUrl),
      noProxy: opt('Hosts, domains and subnets reached directly.', list(withoutProxy)),
    }),
  ),
  cni: opt(
    'Pod network of the host itself.',
    fields({
      type: opt(
        '`none`: somebody else brings one. `bridge`: a bridge with addresses of `subnet`. Default: none.',
        oneOf('none', 'bridge'),
      ),
      subnet: opt(
        'Addresses of pods of a `bridge`: a subnet, `10.88.0.0/24`, one of either family, `10.88.0.0/24,fd00:88::/64`, or `podCIDR`, what the cluster gives the Node. Default: podCIDR in a cluster; without one a subnet is required.',
        podSubnet,
      ),
      bridge: opt(
        'Name of the bridge. Default: cni0.',
        matching(/^(?!\.{1,2}$|all$|default$)[^\s/:]{1,15}$/, 'the name of a network interface'),
      ),
      masquerade: opt('Translate addresses of pods outside the subnet; needs iptables. Default: true.', flag()),
      mtu: opt('Default: the kernel’s.', numberFrom(68, 65_535)),
      binDir: opt(
        'Folder of the plugins. Default: where they are (/opt/cni/bin, /usr/lib/cni, /usr/libexec/cni), else containerd’s own.',
        absolutePath,
      ),
    }),
  ),
});

const extension = fields({
  name: doc(
    'Name of the extension, as in the `extension-release` file it carries.',
    matching(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'a name of letters, digits, "_", "." and "-"'),
  ),
  version: opt(
    'Version, `1.34.3`; a line (`1.34`) takes its newest release. Default for `kubernetes`: the Kubernetes version; for others: any.',
    text(),
  ),
  path: opt('On the host: a `.raw` image, a folder of such images, or an extension that is a folder.', absolutePath),
  registry: opt(
    'Repository of OCI artifacts, without a tag; tags are `v<version>-<revision>-<distribution>-<architecture>`.',
    checkedAddress(isRepository, 'a repository like "registry.example/extensions/kubernetes", without a tag'),
  ),
  revision: opt(
    'Revision and distribution, `1-azlinux3`, that complete the tag where the registry cannot list tags.',
    matching(/^[^\s/:@]+$/, 'a revision like "1-azlinux3"'),
  ),
  plainHttp: opt('The registry speaks HTTP. Default: false.', flag()),
  signature: opt('Who must have signed the OCI artifact.', signature),
  url: opt('URL of the image, asked after the registry.', url),
  tarball: opt(
    'An archive with the programs, asked last: an extension is made of them.',
    fields({
      url: doc('URL or OCI reference; placeholders as for a tool of `binaries`.', addressTemplate('any')),
      member: opt(
        'Path of a program inside, with {tool}. Default: where such archives usually have it.',
        template('a path'),
      ),
      digest: opt('sha256 of the archive.', digest),
    }),
  ),
  digest: opt('sha256 of the image.', digest),
  tools: opt(
    'Programs of its /usr/bin to link from /opt/bin. Default: kubelet and kubectl for `kubernetes`, else the name itself.',
    list(name),
  ),
});

const boot = fields({
  deadline: opt('Budget of the whole boot, retries included. Default: 10m.', timespan),
  goal: opt(
    'What a boot waits for in a cluster: `healthz`, kubelet is healthy; `registered`, the cluster has its Node; `ready`, the Node is Ready. Default: registered.',
    oneOf('healthz', 'registered', 'ready'),
  ),
  joinDeadline: opt(
    'How long after kubelet’s start something known may stand in the way of the goal before the boot ends without it. Default: 8s.',
    duration,
  ),
  unjoined: opt('What a boot comes to without its goal. Default: degraded.', oneOf('degraded', 'failed')),
  deferrable: opt(
    'Overrides by resource, `"unit:node-exporter.service": true`. Kernel settings, mounts, identity, trust and runtime configuration cannot be deferred.',
    record(resourceId, flag(), { error: wants('a map') }),
  ),
});

const inPlaceUpdates = fields({
  drain: opt(
    'Wait until the Node is drained before what disturbs pods: another minor version of kubelet, other reservations, evictions or CPU manager policy, another operating system, rotated credentials. Default: true.',
    flag(),
  ),
  operatingSystem: opt(
    'The operating system.',
    fields({
      version: doc(
        'Version that it shall be of, as PRETTY_NAME of os-release(5) has it: `1877.3`.',
        matching(/^v?\d+(?:\.\d+)*(?:[-+~]\S*)?$/, 'a version like "1877.3"'),
      ),
      command: opt(
        'Program that brings it there, with arguments; it may reboot. Absent: something else does.',
        list(text()),
      ),
    }),
  ),
  certificateAuthorities: opt(
    'When a rotation of the cluster’s authorities was begun. Another value: kubelet and agent get new certificates.',
    text('a time'),
  ),
  serviceAccountKey: opt(
    'When a rotation of the key for service accounts was begun. Another value: the agent’s tokens are synced anew.',
    text('a time'),
  ),
});

const trustAnchor = fields({
  name: doc('A name for the files that hold it.', name),
  certificates: opt('Its certificates in PEM form.', pem),
});

export const nodeSpec = fields({
  kubernetes: opt('Which Kubernetes.', kubernetes),
  cluster: opt('The cluster to join. Absent: kubelet runs stand-alone, with static pods only.', cluster),
  kubelet: opt('kubelet.', kubelet),
  containerd: opt('containerd.', containerd),
  network: opt('Proxy and pod network.', network),
  kernel: opt('Kernel modules and settings.', kernel),
  binaries: opt('Where kubelet and other programs come from.', binaries),
  extensions: opt(
    'System extensions (systemd-sysext) merged into /usr; merged by name. A program that one brings is no longer taken from `binaries`.',
    keyedList('name', extension),
  ),
  usrLocal: opt(
    '`writable`: make /usr/local writable on a system whose /usr is read-only, or becomes so by system extensions; what is written lies in /opt/nodekiln/usr-local. Default: host, as it is.',
    oneOf('host', 'writable'),
  ),
  trust: opt(
    'Whom this machine trusts, beside the distribution’s own list.',
    fields({ anchors: opt('Authorities; merged by name.', keyedList('name', trustAnchor)) }),
  ),
  files: opt('Further files, links and folders; merged by path.', files),
  units: opt('Further units, or additions to ours; merged by name.', units),
  actions: opt('Commands with a guard; merged by name.', actions),
  boot: opt('How the first boot behaves.', boot),
  inPlaceUpdates: opt(
    'What the agent updates without replacing the machine, and when. Absent: kubelet is changed at once, whatever its version.',
    inPlaceUpdates,
  ),
  takeover: opt(
    'Take over whatever another source brought before and this document names too: for a document of the agent that carries on what the boot began. Default: false.',
    flag(),
  ),
});

export const nodeConfigDocument = fields({
  apiVersion: doc('Version of this schema.', literal(apiVersion)),
  kind: doc('Kind of document.', literal('NodeConfig')),
  metadata: opt('About the document.', metadata),
  spec: doc('What the node should be.', nodeSpec),
});

export type NodeConfigDocument = Infer<typeof nodeConfigDocument>;
export type NodeSpecDocument = Infer<typeof nodeSpec>;
