/** A host for work that may wait: what it runs stays behind whatever else the machine does. */
import type { Exec, Host } from './port.ts';

/** The same host, with every program at low priority. What our own process does keeps the process's priority. */
export function atLowPriority(host: Host): Host {
  return { ...host, exec: lowPriority(host.exec), localExec: lowPriority(host.localExec) };
}

function lowPriority(exec: Exec): Exec {
  return { run: (argv, options) => exec.run(argv, { ...options, lowPriority: true }) };
}
