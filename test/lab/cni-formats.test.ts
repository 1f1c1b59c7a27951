/**
 * The pod network of a document as the plugins of real distributions read it: each as a container runtime calls it, in network
 * namespaces of its own. What counts is what the pod then has: addresses, routes and the bridge behind them.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { filledTemplate, podNetworkOf } from '../../src/desired/pod-network.ts';
import { containerdPackages } from './containerds.ts';
import { inRoot, withFolder } from './in-root.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot, type Suite } from './root.ts';

/** The words of the specification (1.0.0, section 4): the network's name and version, and what the plugin before it came to. */
const play = `
  mount -t proc proc "$2/proc"
  mount --rbind /dev "$2/dev"
  mount -t tmpfs state "$2/var/lib"
  exec unshare --net sh -euc '
    mount -t sysfs sysfs "$2/sys"
    ip link set lo up
    mkdir -p "$2/run/netns" "$2/run/lock"
    root=$2
    as() { chroot "$root" "$@"; }
    as ip netns add pod
    in_pod() { nsenter --net="$root/run/netns/pod" chroot "$root" "$@"; }
    plugin() {
      as env CNI_COMMAND=$1 CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni \\
        "/usr/lib/cni/$(cat "$folder/$2.type")"
    }
    folder=$1
    config() { { printf "%s" "$(cat "$folder/$1.json")"; [ "$1" = 0 ] || printf ",\\"prevResult\\":%s" "$(cat "$folder/result")"; printf "}"; }; }
    for index in $(seq 0 $(($3 - 1))); do
      config "$index" | plugin ADD "$index" > "$folder/next" || { cat "$folder/next" >&2; exit 1; }
      mv "$folder/next" "$folder/result"
    done
    in_pod ip -json address show eth0 > "$folder/pod"
    in_pod ip -json route > "$folder/routes4"
    in_pod ip -json -6 route > "$folder/routes6"
    as ip -json address show type bridge > "$folder/bridge"
    { as iptables-save -t nat; as ip6tables-save -t nat; } > "$folder/nat"
    for index in $(seq $(($3 - 1)) -1 0); do
      config "$index" | plugin DEL "$index"
    done
    in_pod ip -json address > "$folder/after"
  ' sh "$1" "$2" "$3"`;

interface Link {
  readonly ifname: string;
  readonly mtu: number;
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[];
}
interface Route {
  readonly dst: string;
  readonly gateway?: string;
}

interface Came {
  /** With the length of their prefixes. */
  readonly pod: readonly string[];
  readonly bridge: readonly string[];
  readonly name: string;
  /** Where everything else is sent. */
  readonly gateways: readonly string[];
  readonly mtu: number;
  readonly nat: string;
  /** Interfaces of the pod when it has gone. */
  readonly after: readonly string[];
}

async function played(suite: Suite, text: string): Promise<Came> {
  const root = await derivedRoot(suite, { packages: containerdPackages }, console.error);
  const list = JSON.parse(text) as { cniVersion: string; name: string; plugins: { type: string }[] };
  return withFolder(async (folder) => {
    for (const [index, plugin] of list.plugins.entries()) {
      const whole = { cniVersion: list.cniVersion, name: list.name, ...plugin };
      // Without its end, which comes after the result of the one before.
      await writeFile(join(folder, `${index}.json`), JSON.stringify(whole).slice(0, -1));
      await writeFile(join(folder, `${index}.type`), plugin.type);
    }
    await mkdir(join(folder, 'out'));
    await inRoot(root, folder, play, String(list.plugins.length));
    const read = async <T>(name: string): Promise<T> =>
      JSON.parse((await readFile(join(folder, name), 'utf8')) || '[]') as T;
    const [pod] = await read<Link[]>('pod');
    const [bridge] = await read<Link[]>('bridge');
    const routes = [...(await read<Route[]>('routes4')), ...(await read<Route[]>('routes6'))];
    const addresses = (link: Link | undefined): string[] =>
      (link?.addr_info ?? []).flatMap(({ local, prefixlen, scope }) =>
        scope === 'link' ? [] : `${local}/${prefixlen}`,
      );
    return {
      pod: addresses(pod),
      bridge: addresses(bridge),
      name: bridge?.ifname ?? '',
      gateways: routes.flatMap(({ dst, gateway }) => (dst === 'default' && gateway !== undefined ? [gateway] : [])),
      mtu: pod?.mtu ?? 0,
      nat: await readFile(join(folder, 'nat'), 'utf8'),
      after: (await read<Link[]>('after')).map(({ ifname }) => ifname),
    };
  });
}

before(() => installPrerequisites(console.error), { timeout: 300_000 });

describe('the pod network of a document', () => {
  const four = { pod: '10.88.0.2/24', bridge: '10.88.0.1/24', gateway: '10.88.0.1' };
  const six = { pod: 'fd00:88::2/64', bridge: 'fd00:88::1/64', gateway: 'fd00:88::1' };
  for (const suite of ['bookworm', 'trixie'] as const)
    for (const [what, subnets, families] of [
      ['IPv4', ['10.88.0.0/24'], [four]],
      ['IPv6', ['fd00:88::/64'], [six]],
      ['both families', ['10.88.0.0/24', 'fd00:88::/64'], [four, six]],
      ['both families the other way around', ['fd00:88::/64', '10.88.0.0/24'], [four, six]],
    ] as const)
      for (const whose of ['the document’s', 'the Node’s'] as const)
        test(`is what the plugins of ${suite} make: ${what}, ${whose}`, { timeout: 300_000 }, async () => {
          const fromDocument = podNetworkOf({ subnet: subnets.join(',') }).text;
          const text =
            whose === 'the document’s'
              ? fromDocument
              : filledTemplate(podNetworkOf({ subnet: 'podCIDR' }).text, subnets);
          const { pod, bridge, name, gateways, nat, after } = await played(suite, text);
          assert.deepEqual(
            [pod.toSorted(), bridge.toSorted(), gateways.toSorted(), name, after.includes('eth0')],
            [
              families.map((family) => family.pod),
              families.map((family) => family.bridge),
              families.map((family) => family.gateway),
              'cni0',
              false,
            ],
          );
          // Of the pod's own addresses, in the tables of their families.
          for (const { pod: address } of families) assert.ok(nat.includes(`${address.split('/')[0]}/`), nat);
        });

  test(
    'has the name, the packets and the addresses of its own that the document says',
    { timeout: 300_000 },
    async () => {
      const { text } = podNetworkOf({
        subnet: '10.88.0.0/24,fd00:88::/64',
        bridge: 'nk-br.0',
        mtu: 1400,
        masquerade: false,
      });
      const { name, mtu, nat, pod } = await played('trixie', text);
      assert.deepEqual([name, mtu, pod.length], ['nk-br.0', 1400, 2]);
      assert.ok(!nat.includes('10.88.0.2') && !nat.includes('fd00:88::2'), nat);
    },
  );
});
