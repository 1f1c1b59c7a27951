/**
 * Databases of a machine in memory: real ones, whose file is written as a whole with each commit. A process that crashes
 * before the end of its commit leaves the file as it was; what is in the file decides what the next one opens.
 */
import { DatabaseSync } from 'node:sqlite';
import { databaseOn } from '../linux/databases.ts';
import type { Databases } from '../port.ts';
import type { Effects } from './effects.ts';
import type { Tree } from './tree.ts';

export interface MemoryDatabasesOptions {
  readonly tree: Tree;
  readonly effects: Effects;
}

export function createMemoryDatabases({ tree, effects }: MemoryDatabasesOptions): Databases {
  return {
    open: async (path) => {
      effects.alive();
      const real = tree.target(path);
      const database = new DatabaseSync(':memory:');
      const found = tree.get(real);
      if (found && found.content.length > 0) database.deserialize(found.content);
      const save = (): void => {
        const content = Buffer.from(database.serialize());
        tree.put(real, tree.make({ type: 'file', mode: 0o600, content }));
      };
      // As SQLite does: the file is there from the first opening on.
      if (!found) tree.put(real, tree.make({ type: 'file', mode: 0o600 }));
      const opened = databaseOn(database, () =>
        effects.run(`commit to ${path}`, () => {
          database.exec('COMMIT');
          save();
        }),
      );
      const saved = <Result>(work: () => Result): Result => {
        effects.alive();
        const result = work();
        if (!database.isTransaction) save();
        return result;
      };
      return {
        ...opened,
        exec: (sql) => saved(() => opened.exec(sql)),
        prepare: (sql) => {
          effects.alive();
          const statement = opened.prepare(sql);
          return { ...statement, run: (...values) => saved(() => statement.run(...values)) };
        },
        transaction: (work) => {
          effects.alive();
          return opened.transaction(work);
        },
      };
    },

    look: async (path) => {
      effects.alive();
      const found = tree.get(tree.target(path));
      if (!found) throw Object.assign(new Error('SQLITE_CANTOPEN: no such file'), { code: 'SQLITE_CANTOPEN' });
      const database = new DatabaseSync(':memory:');
      if (found.content.length > 0) database.deserialize(found.content);
      return databaseOn(database);
    },

    scratch: async () => databaseOn(new DatabaseSync(':memory:')),
  };
}
