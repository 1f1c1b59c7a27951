/**
 * What is known about a host before anything is rendered for it. Observed by `host/facts.ts`, printed by
 * `nodekiln facts`; with a document and this, a plan can be made anywhere.
 */
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
  readonly systemdVersion?: string;
  readonly containerdVersion?: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly interfaces: readonly string[];
  /** What the cache holds, by program: `{kubelet: ['1.34.3']}`. */
  readonly cache: Readonly<Record<string, readonly string[]>>;
}
