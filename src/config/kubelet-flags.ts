/**
 * Flags of kubelet that are not the document's alone. kubelet lets a flag win over its configuration file, so one that
 * repeats what is set elsewhere changes unsaid what nodekiln relies on: such flags are refused, with the field to use
 * instead. Others only win over a value of the configuration, which is a person's right: those are warned of. Pure.
 *
 * Flags and what they stand for: kubelet --help, KubeletConfiguration v1beta1.
 */
import type { Path } from './paths.ts';
import { valueAt } from './paths.ts';
import { lack, within, type Scope } from './completion.ts';

/** What nodekiln itself sets or asks: never a document's flag. */
const reserved: Readonly<Record<string, { readonly why: string; readonly instead: string }>> = {
  config: { why: 'nodekiln writes the configuration file', instead: 'Use `kubelet.configuration`.' },
  kubeconfig: {
    why: 'nodekiln decides with `cluster` whether and how kubelet joins',
    instead: 'Use `cluster`; without it kubelet runs stand-alone.',
  },
  'bootstrap-kubeconfig': {
    why: 'nodekiln writes it from `cluster`',
    instead: 'Use `cluster.server`, `cluster.caBundle` and `cluster.bootstrapToken`.',
  },
  'pod-manifest-path': {
    why: 'nodekiln puts static pods where the configuration says',
    instead: 'Use `kubelet.configuration.staticPodPath`.',
  },
  'healthz-port': {
    why: 'nodekiln asks for kubelet’s health where the configuration says',
    instead: 'Use `kubelet.configuration.healthzPort`.',
  },
  'healthz-bind-address': {
    why: 'nodekiln asks for kubelet’s health where the configuration says',
    instead: 'Use `kubelet.configuration.healthzBindAddress`.',
  },
};

interface KubeletFields {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly nodeIp?: string | undefined;
  readonly taints?: readonly unknown[] | undefined;
  readonly nodeName?: string | undefined;
  readonly providerId?: string | undefined;
  readonly credentialProviders?: unknown;
}

const hasCredentialProviders = ({ credentialProviders }: KubeletFields): boolean => credentialProviders !== undefined;

/** Flags that have a field of their own: one of the two. */
const fields: Readonly<
  Record<string, { readonly field: string; readonly isSet: (kubelet: KubeletFields) => boolean }>
> = {
  'node-labels': { field: 'labels', isSet: ({ labels }) => Object.keys(labels ?? {}).length > 0 },
  'node-ip': { field: 'nodeIp', isSet: ({ nodeIp }) => nodeIp !== undefined },
  'hostname-override': { field: 'nodeName', isSet: ({ nodeName }) => nodeName !== undefined },
  'provider-id': { field: 'providerId', isSet: ({ providerId }) => providerId !== undefined },
  'image-credential-provider-config': { field: 'credentialProviders', isSet: hasCredentialProviders },
  'image-credential-provider-bin-dir': { field: 'credentialProviders', isSet: hasCredentialProviders },
  'register-with-taints': { field: 'taints', isSet: ({ taints }) => (taints ?? []).length > 0 },
};

type Flags = Readonly<Record<string, string | number | boolean>>;

/** At the scope of `flags`. */
export function refuseOwnFlags(flags: Flags, kubelet: KubeletFields, scope: Scope): void {
  for (const flag of Object.keys(flags)) {
    const own = Object.hasOwn(reserved, flag) ? reserved[flag] : undefined;
    if (own) lack(within(scope, flag), `the flag ${flag} is not a document’s: ${own.why}`, own.instead);
    const double = Object.hasOwn(fields, flag) ? fields[flag] : undefined;
    if (double?.isSet(kubelet))
      lack(
        within(scope, flag),
        `the flag ${flag} would replace kubelet.${double.field}, which is given too`,
        `Put everything into \`kubelet.${double.field}\` and remove the flag.`,
      );
  }
}

/** The field of KubeletConfiguration that a flag wins over. */
const configurationFields: Readonly<Record<string, readonly string[]>> = {
  address: ['address'],
  'anonymous-auth': ['authentication', 'anonymous', 'enabled'],
  'authentication-token-webhook': ['authentication', 'webhook', 'enabled'],
  'authorization-mode': ['authorization', 'mode'],
  'cgroup-driver': ['cgroupDriver'],
  'client-ca-file': ['authentication', 'x509', 'clientCAFile'],
  'cluster-dns': ['clusterDNS'],
  'cluster-domain': ['clusterDomain'],
  'container-runtime-endpoint': ['containerRuntimeEndpoint'],
  'fail-cgroupv1': ['failCgroupV1'],
  'fail-swap-on': ['failSwapOn'],
  'read-only-port': ['readOnlyPort'],
  'register-with-taints': ['registerWithTaints'],
  'rotate-certificates': ['rotateCertificates'],
  'volume-plugin-dir': ['volumePluginDir'],
};

/** Flags that win over what the configuration file says; `configuration` as it is written to the host. */
export function flagsOverConfiguration(flags: Flags, configuration: unknown): { path: Path; message: string }[] {
  return Object.keys(flags).flatMap((flag) => {
    const field = Object.hasOwn(configurationFields, flag) ? configurationFields[flag] : undefined;
    const loser = field && valueAt(configuration, field);
    if (!field || loser === undefined || loser === null) return [];
    const message = `the flag ${flag} of kubelet wins over ${field.join('.')} (${JSON.stringify(loser)}) of its configuration`;
    return [{ path: ['spec', 'kubelet', 'flags', flag], message }];
  });
}
