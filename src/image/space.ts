/**
 * What takes space in a root, by component: every file counted once (hard links, too), in bytes of disk it occupies. Files
 * are attributed by where the lock says components lie, then by the package manager's own lists; the rest is the root's.
 */
import type { Files, Host } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import type { ImageLock } from './image-lock.ts';
import { join } from '../model/path.ts';

export interface Space {
  readonly totalBytes: number;
  /** Largest first. */
  readonly components: readonly { readonly component: string; readonly bytes: number }[];
}

const contentStore = '/var/lib/containerd/io.containerd.content.v1.content';
const snapshots = '/var/lib/containerd';
/** Of the machine that bakes, should they be mounted. */
const foreign = new Set(['/proc', '/sys', '/dev']);

/** Walked as a folder of our own file system: no name in the root has to be looked up through its symlinks. */
export async function measureSpace({ local, root }: Pick<Host, 'local' | 'root'>, lock: ImageLock): Promise<Space> {
  const owner = await owners(local, root, lock);
  const bytes = new Map<string, number>();
  const counted = new Set<string>();
  const top = await local.stat(root);
  const visit = async (path: string): Promise<void> => {
    const stat = await local.stat(join(root, path));
    if (!stat || stat.device !== top?.device || foreign.has(path)) return;
    const inode = `${stat.device}:${stat.inode}`;
    if (stat.type !== 'directory' && stat.links > 1) {
      if (counted.has(inode)) return;
      counted.add(inode);
    }
    const component = owner(path);
    bytes.set(component, (bytes.get(component) ?? 0) + stat.allocatedBytes);
    if (stat.type !== 'directory') return;
    for (const name of await local.list(join(root, path))) await visit(join(path, name));
  };
  await visit('/');
  const components = [...bytes]
    .map(([component, size]) => ({ component, bytes: size }))
    .filter((entry) => entry.bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes || (a.component < b.component ? -1 : 1));
  return { totalBytes: components.reduce((sum, entry) => sum + entry.bytes, 0), components };
}

async function owners(local: Files, root: string, lock: ImageLock): Promise<(path: string) => string> {
  const files = new Map<string, string>();
  const lists = join(root, 'var/lib/dpkg/info');
  for (const { name, architecture } of lock.packages.installed) {
    for (const path of await packageFiles(local, { lists, name, architecture })) files.set(path, `package ${name}`);
  }
  for (const { path, tool, version, id } of lock.binaries)
    files.set(path, id.startsWith('binary:nodekiln/') ? 'nodekiln' : `${tool} ${version}`);
  for (const { path } of lock.files) files.set(path, 'files of the manifest');
  return (path) => {
    const known = files.get(path);
    if (known !== undefined) return known;
    if (path.startsWith(`${contentStore}/`)) return 'container images, as fetched';
    if (path.startsWith(`${snapshots}/`)) return 'container images, unpacked';
    if (path.startsWith('/opt/nodekiln/') || path.startsWith('/var/lib/nodekiln/')) return 'nodekiln';
    if (/^\/var\/(cache|log|tmp|lib\/apt\/lists)\//.test(path) || path.startsWith('/tmp/')) return 'caches and logs';
    return 'operating system';
  };
}

/** Regular files of a package as dpkg lists them; merged /usr is followed. RPM's lists are not read: its packages count as the system's. */
async function packageFiles(
  local: Files,
  { lists, name, architecture }: { lists: string; name: string; architecture: string },
): Promise<string[]> {
  for (const file of [`${name}.list`, `${name}:${architecture}.list`]) {
    const content = await local.read(join(lists, file));
    if (content)
      return textOf(content)
        .split('\n')
        .map((path) => path.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/'));
  }
  return [];
}
