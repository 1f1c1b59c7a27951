/** What a lab and its keeper (keeper.ts) say to each other, and where the keeper's records lie. */

/** One folder per lab: `owner.json`, `keeper.log`, network namespaces. */
export const runFolder = '/run/nodekiln-lab';

/** Written by the process that opens a lab, then by its keeper: a lab whose process is gone is swept by the next one. */
export interface OwnerRecord {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: a process number alone can be somebody else's by now. */
  readonly startTicks: string;
  /** Where the hosts' disks are. */
  readonly disk: string;
}

export interface HostSpecification {
  readonly name: string;
  /** The lower layer: an unpacked root that nobody changes while the host exists. */
  readonly root: string;
  /** Guest folders copied from the root to the real disk. */
  readonly seeds: readonly string[];
  /** `true`: a cable to the lab's own switch; otherwise one that ends in nothing; the guest has an address all the same. */
  readonly network: boolean;
}

export type Request =
  | { readonly method: 'create'; readonly host: HostSpecification }
  | { readonly method: 'start' | 'kill' | 'remove'; readonly name: string }
  | { readonly method: 'cable'; readonly name: string; readonly connected: boolean }
  | { readonly method: 'keep' | 'close' };

export interface CreatedHost {
  /** The merged view of the host's disk in the keeper's mount namespace. */
  readonly merged: string;
  /** The host's own folder on the real disk. */
  readonly disk: string;
  readonly address: string;
  readonly machineId: string;
}

export interface LaunchedHost {
  /** The guest's PID 1 in the machine's numbering. */
  readonly pid1: number;
  /** CLOCK_MONOTONIC in milliseconds, just before the launcher started. */
  readonly launchedMs: number;
  /** The same clock, when the guest's PID 1 was created (10 ms steps). */
  readonly pid1Ms: number;
  /** Folders of control groups that a command run in the guest joins. */
  readonly groups: readonly string[];
}

export interface Answer {
  readonly created?: CreatedHost;
  readonly launched?: LaunchedHost;
}

export type Reply = ({ readonly reply: number } & Answer) | { readonly reply: number; readonly error: string };

export type Notice =
  /** Groups for programs in the lab's network. */
  | { readonly notice: 'ready'; readonly groups: readonly string[] }
  | { readonly notice: 'launched'; readonly name: string; readonly launched: LaunchedHost }
  | { readonly notice: 'ended'; readonly name: string; readonly status: number; readonly rebooting: boolean }
  /** A guest that asked for a reboot could not be started again. */
  | { readonly notice: 'lost'; readonly name: string; readonly reason: string };
