/**
 * The file system of a machine in memory: folders, files, symlinks and hard links (one node under two paths) with mode,
 * owner and inode. Whatever is in it is durable; `clearVolatile` is what a reboot does to /run and /tmp.
 */
import type { FileType } from '../port.ts';
import { unsafe } from '../../disk/unsafe.ts';
import { basename, dirname, join, normalize, resolve } from '../../model/path.ts';
import { isFixed, type Passed } from '../../model/trust.ts';

export interface TreeNode {
  readonly type: FileType;
  readonly inode: bigint;
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  readonly content: Buffer;
  readonly target: string;
}

export interface Tree {
  /** The node at a real path. */
  get(real: string): TreeNode | undefined;
  /** `inPlace`: only its content is another; it is the same entry. */
  put(real: string, node: TreeNode, inPlace?: boolean): void;
  delete(real: string): void;
  /** The node and, of a folder, all that is in it get other names. */
  rename(from: string, to: string): void;
  /** Calls back with the real path of whatever is put or deleted, until the returned call. */
  observe(listener: (real: string, inPlace: boolean) => void): () => void;
  /** Names in a real folder, sorted. */
  names(real: string): string[];
  /** Every name of the node. */
  paths(node: TreeNode): string[];
  make(fields: Partial<TreeNode> & Pick<TreeNode, 'type'>): TreeNode;
  /** The real path of the entry itself; symlinks in its parents are followed. */
  entry(path: string): string;
  /** The real path of what it leads to; `pass` is told of each folder and entry on the way. */
  target(path: string, pass?: (way: Passed) => void): string;
  clearVolatile(): void;
  /** Every path with what it holds, for comparing whole trees; without times and inodes. */
  snapshot(): Record<string, string>;
}

const root = { uid: 0, gid: 0 };

const volatile = ['/run', '/tmp'];

export function createTree(): Tree {
  const nodes = new Map<string, TreeNode>();
  const listeners = new Set<(real: string, inPlace: boolean) => void>();
  const tell = (real: string, inPlace = false): void => {
    for (const listener of listeners) listener(real, inPlace);
  };
  let inodes = 1n;
  const make: Tree['make'] = (fields) => ({
    mode: fields.type === 'directory' ? 0o755 : fields.type === 'symlink' ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    content: Buffer.alloc(0),
    target: '',
    ...fields,
    inode: inodes++,
  });
  for (const folder of ['/', '/etc', '/run', '/tmp', '/usr', '/var', '/opt', '/proc', '/sys']) {
    nodes.set(folder, make({ type: 'directory' }));
  }

  const walk = (path: string, hops = 0, pass?: (way: Passed) => void): string => {
    let reached = '/';
    const parts = normalize(path).split('/').filter(Boolean);
    for (const [index, part] of parts.entries()) {
      const next = join(reached, part);
      const node = nodes.get(next);
      const folder = nodes.get(reached);
      if (folder && node) pass?.({ folder: { ...folder, path: reached }, entry: { ...node, path: next } });
      if (node?.type !== 'symlink') {
        reached = next;
        continue;
      }
      if (folder && !isFixed(folder, node, root)) throw unsafe(next, node.uid);
      if (hops >= 40) throw Object.assign(new Error(`ELOOP: too many symbolic links, ${path}`), { code: 'ELOOP' });
      return walk(resolve(reached, node.target, ...parts.slice(index + 1)), hops + 1, pass);
    }
    return reached;
  };

  return {
    get: (real) => nodes.get(real),
    put: (real, node, inPlace) => {
      nodes.set(real, node);
      tell(real, inPlace);
    },
    delete: (real) => {
      nodes.delete(real);
      tell(real);
    },
    rename: (from, to) => {
      const moved = [...nodes].filter(([path]) => path === from || path.startsWith(`${from}/`));
      for (const [path] of moved) nodes.delete(path);
      for (const [path, node] of moved) nodes.set(to + path.slice(from.length), node);
      tell(from);
      tell(to);
    },
    observe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    names: (real) => {
      const prefix = real === '/' ? '/' : `${real}/`;
      const inside = [...nodes.keys()].filter((path) => path !== '/' && path.startsWith(prefix));
      return inside
        .map((path) => path.slice(prefix.length))
        .filter((name) => !name.includes('/'))
        .sort();
    },
    paths: (node) => [...nodes].filter(([, other]) => other === node).map(([path]) => path),
    make,
    entry: (path) => {
      const clean = normalize(path);
      return clean === '/' ? '/' : join(walk(dirname(clean)), basename(clean));
    },
    target: (path, pass) => walk(path, 0, pass),
    clearVolatile: () => {
      for (const path of nodes.keys()) if (volatile.some((folder) => path.startsWith(`${folder}/`))) nodes.delete(path);
    },
    snapshot: () =>
      Object.fromEntries(
        [...nodes]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([path, node]) => [
            path,
            `${node.type} ${node.mode.toString(8).padStart(4, '0')} ${node.uid}:${node.gid} ` +
              (node.type === 'symlink' ? node.target : node.content.toString('latin1')),
          ]),
      ),
  };
}
