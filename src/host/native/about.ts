/** What the host program knows of itself and does not change while it runs. */
import { now } from './crossing.ts';

interface About {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** The words after the program's name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  readonly executable: string;
  /** Go's name. */
  readonly architecture: string;
  readonly processors: number;
  /** On CLOCK_MONOTONIC. */
  readonly startedMs: number;
}

export const about: About = read();

function read(): About {
  const told: Omit<About, 'environment' | 'startedMs'> & { readonly environment: readonly string[] } = JSON.parse(
    now<string>('process'),
  );
  const environment = Object.fromEntries(
    told.environment.map((entry) => {
      const at = entry.indexOf('=');
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
  return { ...told, environment, startedMs: now<number>('monotonic') };
}
