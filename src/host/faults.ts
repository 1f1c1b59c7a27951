/**
 * Fault points for crash tests: with `NODEKILN_FAULT=before:N` or `after:N` in its environment, the process kills itself
 * with SIGKILL before or after its N-th effect (counted from 1); with `NODEKILN_FAULT=count:FILE` it writes the number of
 * effects to FILE when it closes the host. Without the variable the host is returned as it is.
 */
import { writeFileSync } from 'node:fs';
import type { Files, Host, Units } from './port.ts';

type Mode =
  | { readonly type: 'kill'; readonly when: 'before' | 'after'; readonly at: number }
  | { readonly type: 'count'; readonly file: string };

export function withFaults(host: Host, setting: string | undefined = process.env['NODEKILN_FAULT']): Host {
  const mode = parse(setting);
  if (!mode) return host;
  let effects = 0;
  const point = async <T>(work: () => Promise<T>): Promise<T> => {
    effects += 1;
    const mine = effects;
    if (mode.type === 'kill' && mode.when === 'before' && mine === mode.at) process.kill(process.pid, 'SIGKILL');
    const result = await work();
    if (mode.type === 'kill' && mode.when === 'after' && mine === mode.at) process.kill(process.pid, 'SIGKILL');
    return result;
  };
  const { files, units, exec } = host;
  const faultyFiles: Files = {
    ...files,
    stat: (path) => files.stat(path),
    read: (path) => files.read(path),
    list: (path) => files.list(path),
    digest: (path) => files.digest(path),
    warm: (paths) => files.warm(paths),
    write: (writes) => point(() => files.write(writes)),
    writeKernel: (path, value) => point(() => files.writeKernel(path, value)),
    remove: (paths) => point(() => files.remove(paths)),
    place: (source, target, attributes) => point(() => files.place(source, target, attributes)),
  };
  const faultyUnits: Units = {
    ...units,
    mode: units.mode,
    list: (patterns) => units.list(patterns),
    get: (name) => units.get(name),
    dependencies: (name, property) => units.dependencies(name, property),
    enablement: (name) => units.enablement(name),
    log: (name, lines) => units.log(name, lines),
    milestones: () => units.milestones(),
    start: (name) => point(() => units.start(name)),
    stop: (name) => point(() => units.stop(name)),
    restart: (name) => point(() => units.restart(name)),
    reloadOrRestart: (name) => point(() => units.reloadOrRestart(name)),
    setEnablement: (change, names) => point(() => units.setEnablement(change, names)),
    daemonReload: () => point(() => units.daemonReload()),
    resetFailed: (name) => units.resetFailed(name),
    kill: (name, signal) => point(() => units.kill(name, signal)),
  };
  return {
    ...host,
    files: faultyFiles,
    units: faultyUnits,
    exec: { run: (argv, options) => point(() => exec.run(argv, options)) },
    containers: { importArchive: (archive, options) => point(() => host.containers.importArchive(archive, options)) },
    async close() {
      if (mode.type === 'count') writeFileSync(mode.file, `${effects}\n`);
      await host.close();
    },
  };
}

function parse(setting: string | undefined): Mode | undefined {
  const kill = /^(before|after):(\d+)$/.exec(setting ?? '');
  if (kill) return { type: 'kill', when: kill[1] === 'before' ? 'before' : 'after', at: Number(kill[2]) };
  const count = /^count:(.+)$/.exec(setting ?? '');
  return count?.[1] === undefined ? undefined : { type: 'count', file: count[1] };
}
