/** A file in the making on a machine in memory; its publication is one effect. */
import { NodekilnError } from '../../errors.ts';
import { basename, dirname, join } from '../../model/path.ts';
import { sha256 } from '../digest.ts';
import type { ContinuedFile } from '../port.ts';
import { isAlive } from './effects.ts';
import { preparedFolder, refusal, temporaryIn, type Memory } from './writing.ts';

/** Begins a file in a folder that the host calls so; under a name of its own with what is there. */
export function stageFile(memory: Memory, folder: string, name?: string): ContinuedFile {
  const { tree, effects, owners } = memory;
  const real = preparedFolder(memory, tree.target(folder));
  const temporary = name === undefined ? temporaryIn(memory, real) : join(real, name);
  const found = tree.get(temporary);
  if (found && found.type !== 'file') throw refusal('write into', folder, 'no regular file is in its place');
  let content: Buffer = found?.content ?? Buffer.alloc(0);
  let done = false;
  /** Also for whoever looks at it by its temporary name. */
  const setContent = (next: Buffer): void => {
    content = next;
    tree.put(temporary, tree.make({ type: 'file', mode: 0o600, content, mtimeNs: memory.mtimeNs() }));
  };
  setContent(content);
  const alive = (): void => {
    effects.alive();
    if (done) throw new NodekilnError('NK_INTERNAL', `a file in ${folder} is written to after its end`);
  };
  return {
    path: join(folder, basename(temporary)),
    get size() {
      return content.length;
    },
    append: async (chunk) => {
      alive();
      setContent(Buffer.concat([content, chunk]));
    },
    restart: async () => {
      alive();
      setContent(Buffer.alloc(0));
    },
    digest: async () => {
      alive();
      return sha256(content);
    },
    read: async (position, length) => {
      alive();
      return Uint8Array.from(content.subarray(position, position + length));
    },
    publish: async (name, attributes) => {
      alive();
      const target = join(dirname(temporary), basename(name));
      done = true;
      try {
        if (tree.get(target)?.type === 'directory')
          throw refusal('write', join(folder, name), 'a folder is in its place (EISDIR)');
        effects.run(`write ${join(folder, name)}`, () =>
          tree.put(target, tree.make({ type: 'file', ...attributes, content, mtimeNs: memory.mtimeNs() })),
        );
      } finally {
        if (isAlive(effects)) forget();
      }
    },
    keep: async () => {
      alive();
      done = true;
    },
    discard: async () => {
      if (done) return;
      done = true;
      forget();
    },
  };

  function forget(): void {
    tree.delete(temporary);
    owners.delete(temporary);
  }
}
