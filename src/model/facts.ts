/**
 * What is known about a host before anything is rendered for it. Observed by `host/facts.ts`, printed by
 * `nodekiln facts`; with a document and this, a plan can be made anywhere.
 */
import { facts, printedFacts } from './schema-facts.ts';
import { NodekilnError } from '../errors.ts';

/** Where kubelet keeps its certificate for the API server, unless a flag says otherwise. */
export const nodeCertificatePath = '/var/lib/kubelet/pki/kubelet-client-current.pem';

/** What rendering knows of a host, as `nodekiln facts` observes it. */
export interface Facts {
  readonly os: {
    /** ID of os-release, `debian`; '' when there is no os-release. */
    readonly id: string;
    /** VERSION_ID, `13`. */
    readonly release: string;
    /** VARIANT_ID. */
    readonly variant?: string;
  };
  readonly arch: {
    /** Go's and OCI's name, `amd64`. */
    readonly cpu: string;
    /** systemd's name, `x86-64`. */
    readonly systemd: string;
  };
  readonly hostName: string;
  /** 1 also for the hybrid layout. */
  readonly cgroupVersion: 1 | 2;
  /** systemd's words: `unified` is version 2 alone, `hybrid` version 1 with an empty version 2 beside it. */
  readonly cgroupLayout?: 'unified' | 'hybrid' | 'legacy';
  /** `uname -r`; absent for a root folder. */
  readonly kernelRelease?: string;
  /** Loaded modules, sorted; what is built into the kernel is not among them. */
  readonly kernelModules?: readonly string[];
  /** False before the first boot: no machine ID has been given yet. */
  readonly hasMachineId?: boolean;
  readonly hasSwap?: boolean;
  /** The name of the Node in kubelet's certificate for the API server, when it has one that holds now. */
  readonly nodeCertificate?: string;
  readonly systemdVersion?: string;
  /** Of the program that its unit starts. */
  readonly containerdVersion?: string;
  /** The configuration that its unit names, where that is not the usual one. */
  readonly containerdReads?: string;
  /** What somebody else configured it with, by file in the order of reading; words where one cannot be read. */
  readonly containerdConfiguration?: Readonly<Record<string, Readonly<Record<string, unknown>> | string>>;
  /** The folder with the plugins of the pod network (`bridge`), where one of the usual ones has them. */
  readonly cniPlugins?: string;
  /** Pod networks in /etc/cni/net.d, whoever brought them: paths in the order in which containerd takes them. */
  readonly podNetworks?: readonly string[];
  /** For pods, where /etc/resolv.conf names a resolver that only the host reaches: another file, or `none` when there is none. */
  readonly resolvConf?: string;
  /** Links with a default route out of a router advertisement that the kernel took. */
  readonly raLinks?: readonly string[];
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly interfaces: readonly string[];
  /** What the cache holds, by program: `{kubelet: ['1.34.3']}`. */
  readonly cache: Readonly<Record<string, readonly string[]>>;
}

/** Facts of a typical host, to plan with where there is none: Debian 13 with containerd, nothing in the cache. */
export const exampleFacts: Facts = {
  os: { id: 'debian', release: '13' },
  arch: { cpu: 'amd64', systemd: 'x86-64' },
  hostName: 'node-1',
  cgroupVersion: 2,
  cgroupLayout: 'unified',
  kernelRelease: '6.12.48+deb13-amd64',
  kernelModules: [],
  hasMachineId: true,
  hasSwap: false,
  systemdVersion: '257',
  containerdVersion: '1.7.24',
  cpus: 4,
  memoryBytes: 8_589_934_592,
  interfaces: ['eth0'],
  cache: {},
};

/**
 * Facts of another machine, as `nodekiln facts --json` printed them: the whole line, or its `data`. What a later version adds
 * is passed over. NK_DOCUMENT_INVALID names the file and every key that is wrong.
 */
export function factsFromJson(value: unknown, fileName: string): Facts {
  const line = printedFacts.safeParse(value);
  const result = facts.safeParse(line.success ? line.data.data : value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ message, path }) => ({
    message,
    place: { file: fileName, path: path.map(String).join('.') },
  }));
  throw new NodekilnError('NK_DOCUMENT_INVALID', `${fileName} does not hold the facts of a host`, {
    hint: 'Write it with `nodekiln facts --json`.',
    problems,
  });
}
