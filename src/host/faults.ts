/**
 * Fault points for crash tests. Every effect of this process is a point, counted from 1 in the order they begin: calls of
 * the host that change something, and inside them each folder, file and name that changes; the journal's writes.
 *
 * With `NODEKILN_FAULT=before:N` or `after:N` in its environment the process kills itself with SIGKILL before or after
 * its N-th effect, having said on standard error which; with `count:FILE` it writes the effects to FILE, one per line,
 * when it closes the host. Without the variable nothing is counted and the host is returned as it is.
 */
import { writeFileSync, writeSync } from 'node:fs';
import type { Files, Host, Units } from './port.ts';

type Mode =
  | { readonly type: 'kill'; readonly when: 'before' | 'after'; readonly at: number }
  | { readonly type: 'count'; readonly file: string };

const mode = parse(process.env['NODEKILN_FAULT']);
const effects: string[] = [];
const ignored = (): void => undefined;

/** Marks the begin of an effect; what it returns is called at the end. */
export function faultPoint(effect: string): () => void {
  if (!mode) return ignored;
  effects.push(effect);
  const mine = effects.length;
  if (mode.type !== 'kill' || mine !== mode.at) return ignored;
  const die = (): void => {
    writeSync(2, `fault: killed ${mode.when} effect ${mine}: ${effect}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
  if (mode.when === 'after') return die;
  die();
  return ignored;
}

export function withFaults(host: Host): Host {
  if (!mode) return host;
  const point = async <T>(effect: string, work: () => Promise<T>): Promise<T> => {
    const end = faultPoint(effect);
    const result = await work();
    end();
    return result;
  };
  const { files, units, exec } = host;
  const faultyFiles: Files = {
    ...files,
    write: (writes) => point(`write ${writes.map(({ path }) => path).join(' ')}`, () => files.write(writes)),
    writeKernel: (path, value) => point(`write ${path}`, () => files.writeKernel(path, value)),
    remove: (paths) => point(`remove ${paths.join(' ')}`, () => files.remove(paths)),
    place: (source, target, attributes) => point(`place ${target}`, () => files.place(source, target, attributes)),
  };
  const faultyUnits: Units = {
    ...units,
    start: (name) => point(`start ${name}`, () => units.start(name)),
    stop: (name) => point(`stop ${name}`, () => units.stop(name)),
    restart: (name) => point(`restart ${name}`, () => units.restart(name)),
    reloadOrRestart: (name) => point(`reload-or-restart ${name}`, () => units.reloadOrRestart(name)),
    setEnablement: (change, names) => point(`${change} ${names.join(' ')}`, () => units.setEnablement(change, names)),
    daemonReload: () => point('daemon-reload', () => units.daemonReload()),
    resetFailed: (name) => point(`reset-failed ${name}`, () => units.resetFailed(name)),
    kill: (name, signal) => point(`kill ${name}`, () => units.kill(name, signal)),
  };
  return {
    ...host,
    files: faultyFiles,
    units: faultyUnits,
    exec: { run: (argv, options) => point(`exec ${argv.join(' ')}`, () => exec.run(argv, options)) },
    containers: {
      ...host.containers,
      importArchive: (archive, options) =>
        point(`import ${archive}`, () => host.containers.importArchive(archive, options)),
    },
    async close() {
      if (mode.type === 'count') writeFileSync(mode.file, effects.map((effect) => `${effect}\n`).join(''));
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
