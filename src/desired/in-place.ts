/**
 * What of a node is updated in place, as its documents say: the versions it shall be of, and credentials that were rotated.
 * Pure. The comparisons are those of Gardener's node agent (pkg/nodeagent/controller/operatingsystemconfig/changes.go).
 */
import type { NodeSpec } from '../config/complete.ts';
import { isMap } from '../config/paths.ts';

export interface InPlaceUpdates {
  /** Changes that disturb pods wait until somebody has drained the Node. */
  readonly drain: boolean;
  readonly operatingSystem?: {
    /** `1877.3` */
    readonly version: string;
    /** What brings the system there, program and arguments. Absent: somebody else does it. */
    readonly command?: readonly string[];
  };
  readonly kubelet: KubeletTraits;
  readonly credentials: RotatedCredentials;
}

/** What of kubelet is not changed under running pods. */
export interface KubeletTraits {
  /** `1.34.3`; absent: documents do not say. */
  readonly version?: string;
  readonly cpuManagerPolicy: string;
  /** What is kept from pods, and when they are evicted: `evictionHard.memory.available`. */
  readonly reservations: Readonly<Record<string, string>>;
}

/** When rotations were begun; another value is another rotation. */
export interface RotatedCredentials {
  readonly certificateAuthorities?: string;
  readonly serviceAccountKey?: string;
}

const reservationKeys = {
  evictionHard: [
    'memory.available',
    'imagefs.available',
    'imagefs.inodesFree',
    'nodefs.available',
    'nodefs.inodesFree',
  ],
  kubeReserved: ['cpu', 'memory', 'ephemeral-storage', 'pid'],
} as const;

/** `configuration`: a KubeletConfiguration. */
export function kubeletTraits(version: string | undefined, configuration: unknown): KubeletTraits {
  const settings = isMap(configuration) ? configuration : {};
  const policy = settings['cpuManagerPolicy'];
  const reservations = Object.entries(reservationKeys).flatMap(([section, keys]) => {
    const values = settings[section];
    return keys.flatMap((key) => {
      const value = isMap(values) ? values[key] : undefined;
      return typeof value === 'string' || typeof value === 'number' ? [[`${section}.${key}`, String(value)]] : [];
    });
  });
  return {
    ...(version !== undefined && { version }),
    cpuManagerPolicy: typeof policy === 'string' && policy !== '' ? policy : 'none',
    reservations: Object.fromEntries(reservations) as Record<string, string>,
  };
}

/** Undefined where the document leaves all that to whoever replaces machines. */
export function inPlaceOf({
  inPlaceUpdates,
  kubernetes,
  kubelet,
}: Pick<NodeSpec, 'inPlaceUpdates' | 'kubernetes' | 'kubelet'>): InPlaceUpdates | undefined {
  if (!inPlaceUpdates) return undefined;
  const { drain, operatingSystem, certificateAuthorities, serviceAccountKey } = inPlaceUpdates;
  return {
    drain,
    ...(operatingSystem && { operatingSystem: systemOf(operatingSystem) }),
    kubelet: kubeletTraits(kubernetes.version, kubelet.configuration),
    credentials: {
      ...(certificateAuthorities !== undefined && { certificateAuthorities }),
      ...(serviceAccountKey !== undefined && { serviceAccountKey }),
    },
  };
}

/** `command`: program and arguments; none where something else updates the system. */
export function systemOf({
  version,
  command = [],
}: {
  readonly version: string;
  readonly command?: readonly string[] | undefined;
}): NonNullable<InPlaceUpdates['operatingSystem']> {
  return { version, ...(command.length > 0 && { command }) };
}
