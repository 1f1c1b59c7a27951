/**
 * containerd: its configuration for its own version, registry mirrors, the drop-in for its unit, and CNI. Pure.
 *
 * Only what differs from containerd's defaults is written, so that a distribution's own defaults (where its CNI
 * plugins are, for one) stay. Structure of version 2 (containerd 1.x) and version 3 (2.x): `containerd config default`.
 */
import { stringify } from 'smol-toml';
import { parseVersion } from '../model/version.ts';
import type { NodeSpec, RegistryItem } from '../config/complete.ts';
import { containerdSocket } from '../config/defaults.ts';
import type { Facts } from '../model/facts.ts';
import { folder, textFile } from './render-items.ts';
import { proxyVariables, serviceDropIn } from './proxy.ts';
import type { FileResource, UnitResource } from '../model/resources.ts';
import { mergeMaps, stable, stableJson } from './stable.ts';

const configPath = '/etc/containerd/config.toml';
const registryFolder = '/etc/containerd/certs.d';
const cniFolder = '/etc/cni/net.d';
/** containerd 2's own unit leaves the soft limit at 1024 open files for itself and for containers. */
const openFiles = ['LimitNOFILE=1048576'];

export function containerdFiles(spec: NodeSpec, facts: Facts): FileResource[] {
  const scope = 'shared';
  const { cni } = spec.network;
  return [
    textFile(configPath, containerdToml(spec, facts), { scope }),
    folder(registryFolder, { scope }),
    ...spec.containerd.registries.map((registry) =>
      textFile(`${registryFolder}/${registry.host}/hosts.toml`, hostsToml(registry), { scope }),
    ),
    folder(cniFolder, { scope }),
    ...(cni.type === 'bridge'
      ? [textFile(`${cniFolder}/10-nodekiln.conflist`, stableJson(bridgeNetwork(cni)), { scope })]
      : []),
  ];
}

function containerdToml(spec: NodeSpec, facts: Facts): string {
  const { sandboxImage, restrictOomScoreAdj, configuration } = spec.containerd;
  const { binDir } = spec.network.cni;
  const runc = { runtime_type: 'io.containerd.runc.v2', options: { SystemdCgroup: true } };
  const runtime = {
    ...(restrictOomScoreAdj && { restrict_oom_score_adj: true }),
    ...(binDir !== undefined && { cni: { bin_dir: binDir, conf_dir: cniFolder } }),
    containerd: { default_runtime_name: 'runc', runtimes: { runc } },
  };
  const registry = { config_path: registryFolder };
  const ours =
    schemaVersion(facts) === 3
      ? {
          version: 3,
          plugins: {
            'io.containerd.cri.v1.images': {
              registry,
              ...(sandboxImage !== undefined && { pinned_images: { sandbox: sandboxImage } }),
            },
            'io.containerd.cri.v1.runtime': runtime,
          },
        }
      : {
          version: 2,
          plugins: {
            'io.containerd.grpc.v1.cri': {
              ...runtime,
              registry,
              ...(sandboxImage !== undefined && { sandbox_image: sandboxImage }),
            },
          },
        };
  return tomlText(stable(mergeMaps(ours, configuration)));
}

/** containerd 2 also reads version 2, so that is what a host with an unknown containerd gets. */
function schemaVersion(facts: Facts): 2 | 3 {
  if (facts.containerdVersion === undefined) return 2;
  const major = Number(parseVersion(facts.containerdVersion).upstream.split('.')[0]);
  return major >= 2 ? 3 : 2;
}

/** One hosts.toml; containerd asks its hosts in the order of the file. */
function hostsToml(registry: RegistryItem): string {
  const hosts = registry.mirrors.map((mirror) => [
    mirror.url,
    {
      capabilities: mirror.capabilities,
      ...(mirror.overridePath && { override_path: true }),
      ...(mirror.caFile !== undefined && { ca: mirror.caFile }),
      ...(mirror.skipVerify && { skip_verify: true }),
    },
  ]);
  return tomlText({
    ...(registry.server !== undefined && { server: registry.server }),
    ...(hosts.length > 0 && { host: Object.fromEntries(hosts) }),
  });
}

function tomlText(value: unknown): string {
  const text = stringify(value);
  return text.endsWith('\n') ? text : `${text}\n`;
}

export function containerdUnit(spec: NodeSpec): UnitResource {
  const registries = spec.containerd.registries.map(
    (registry) => `file:${registryFolder}/${registry.host}/hosts.toml` as const,
  );
  return {
    kind: 'unit',
    id: 'unit:containerd.service',
    name: 'containerd.service',
    scope: 'shared',
    deferrable: false,
    importance: 'required',
    needs: [`file:${cniFolder}`, `file:${registryFolder}`, ...registries],
    dropIns: [{ name: '50-nodekiln.conf', content: serviceDropIn(proxyVariables(spec), openFiles) }],
    enablement: 'enabled',
    state: 'started',
    // Registry and CNI files are read when they are needed; only the configuration itself takes a restart.
    inputs: [`file:${configPath}`],
    onChange: 'restart',
    readiness: { type: 'socket', path: containerdSocket },
    deadlineMs: 60_000,
  };
}

function bridgeNetwork(cni: NodeSpec['network']['cni']): Record<string, unknown> {
  const subnet = cni.subnet ?? '';
  const anywhere = subnet.includes(':') ? '::/0' : '0.0.0.0/0';
  return {
    cniVersion: '1.0.0',
    name: 'nodekiln',
    plugins: [
      {
        type: 'bridge',
        bridge: cni.bridge ?? 'cni0',
        isGateway: true,
        ipMasq: cni.masquerade ?? true,
        hairpinMode: true,
        ...(cni.mtu !== undefined && { mtu: cni.mtu }),
        ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: anywhere }] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}
