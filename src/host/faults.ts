/** A host whose effects are fault points, where the environment asks for them; see `disk/fault-point.ts`. */
import { faultPoint, faultsWanted, writeEffects } from '../disk/fault-point.ts';
import type { Databases, Files, Host, Units } from './port.ts';

export function withFaults(host: Host): Host {
  if (!faultsWanted) return host;
  const point = async <T>(effect: string, work: () => Promise<T>): Promise<T> => {
    const end = faultPoint(effect);
    const result = await work();
    end();
    return result;
  };
  const { files, local, units, exec } = host;
  const faultyFiles: Files = {
    ...files,
    write: (writes) => point(`write ${writes.map(({ path }) => path).join(' ')}`, () => files.write(writes)),
    writeKernel: (path, value) => point(`write ${path}`, () => files.writeKernel(path, value)),
    setAttributes: (path, attributes) => point(`attributes ${path}`, () => files.setAttributes(path, attributes)),
    remove: (paths) => point(`remove ${paths.join(' ')}`, () => files.remove(paths)),
    place: (source, target, attributes) => point(`place ${target}`, () => files.place(source, target, attributes)),
    move: (from, to) => point(`move to ${to}`, () => files.move(from, to)),
    removeTree: (path) => point(`remove the tree ${path}`, () => files.removeTree(path)),
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
  const databases: Databases = {
    ...host.databases,
    open: async (path, options) => {
      const database = await host.databases.open(path, options);
      return {
        ...database,
        transaction: (work) => {
          const end = faultPoint(`commit to ${path}`);
          const result = database.transaction(work);
          end();
          return result;
        },
      };
    },
  };
  return {
    ...host,
    databases,
    files: faultyFiles,
    local: local === files ? faultyFiles : local,
    units: faultyUnits,
    exec: { run: (argv, options) => point(`exec ${argv.join(' ')}`, () => exec.run(argv, options)) },
    containers: {
      ...host.containers,
      importArchive: (archive, options) =>
        point(`import ${archive}`, () => host.containers.importArchive(archive, options)),
    },
    async close() {
      writeEffects();
      await host.close();
    },
  };
}
