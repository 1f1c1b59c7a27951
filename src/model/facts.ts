/**
 * What is known about a host before anything is rendered for it. Observed by `host/facts.ts`, printed by
 * `nodekiln facts`; with a document and this, a plan can be made anywhere.
 */
import { array, boolean, enum as oneOf, exactOptional, literal, number, object, record, string, union } from 'zod';
import type { ZodType } from 'zod';
import { NodekilnError } from '../errors.ts';

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
  readonly systemdVersion?: string;
  readonly containerdVersion?: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly interfaces: readonly string[];
  /** What the cache holds, by program: `{kubelet: ['1.34.3']}`. */
  readonly cache: Readonly<Record<string, readonly string[]>>;
}

const schema: ZodType<Facts> = object({
  os: object({ id: string(), release: string(), variant: exactOptional(string()) }),
  arch: object({ cpu: string(), systemd: string() }),
  hostName: string(),
  cgroupVersion: union([literal(1), literal(2)]),
  cgroupLayout: exactOptional(oneOf(['unified', 'hybrid', 'legacy'])),
  kernelRelease: exactOptional(string()),
  kernelModules: exactOptional(array(string())),
  hasMachineId: exactOptional(boolean()),
  hasSwap: exactOptional(boolean()),
  systemdVersion: exactOptional(string()),
  containerdVersion: exactOptional(string()),
  cpus: number(),
  memoryBytes: number(),
  interfaces: array(string()),
  cache: record(string(), array(string())),
});

/**
 * Facts of another machine, as `nodekiln facts --json` printed them. What a later version adds is passed over.
 * NK_DOCUMENT_INVALID names the file and every key that is wrong.
 */
export function factsFromJson(value: unknown, fileName: string): Facts {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ message, path }) => ({
    message,
    place: { file: fileName, path: path.map(String).join('.') },
  }));
  throw new NodekilnError('NK_DOCUMENT_INVALID', `${fileName} does not hold the facts of a host`, {
    hint: 'Write it with `nodekiln facts --json` and take `.data`.',
    problems,
  });
}
