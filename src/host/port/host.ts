import type { Archives } from './archives.ts';
import type { Clock } from './clock.ts';
import type { Containers } from './containers.ts';
import type { Databases } from './databases.ts';
import type { Exec } from './exec.ts';
import type { Files } from './files.ts';
import type { Locks } from './locks.ts';
import type { Net } from './net.ts';
import type { Program } from './program.ts';
import type { Signatures } from './signatures.ts';
import type { Units } from './units.ts';

export interface Host {
  /** Where the host's `/` is in our own file system: `/` for the machine itself. */
  readonly root: string;
  readonly files: Files;
  /**
   * Our own file system, whatever the host is: manifests, archives and lock files of the machine that bakes. The same as
   * `files` when the host is the machine itself.
   */
  readonly local: Files;
  readonly databases: Databases;
  readonly locks: Locks;
  /** Offline for a root folder: enablement only. */
  readonly units: Units;
  readonly exec: Exec;
  /** Programs of our own machine, whatever the host is: what checks signatures, what keeps credentials. */
  readonly localExec: Exec;
  readonly containers: Containers;
  readonly clock: Clock;
  readonly net: Net;
  /** Ourselves. */
  readonly program: Program;
  readonly archives: Archives;
  readonly signatures: Signatures;
  /** Releases connections and watches. Idempotent. */
  close(): Promise<void>;
}
