/**
 * A writable /usr/local where /usr cannot be written: read-only systems, and every host while system extensions are
 * merged. An extension of ours, a folder, whose /usr/local holds links to a folder on the writable disk; a folder instead of
 * a link would be read-only as the rest. The extension lies outside of /etc, which becomes an overlay of its own while a
 * configuration extension is merged. Pure.
 */
import { parseArch } from '../model/arch.ts';
import type { Facts } from '../model/facts.ts';
import { base, folder, textFile } from './render-items.ts';
import type { ExtensionResource, FileResource } from '../model/resources.ts';

export const usrLocalName = 'nodekiln-usr-local';
/** Where what is written below /usr/local lies. */
export const usrLocalFolder = '/opt/nodekiln/usr-local';
const tree = '/opt/nodekiln/extensions/usr-local';

/** The folders of the Filesystem Hierarchy Standard, §4.9. */
const parts = ['bin', 'etc', 'include', 'lib', 'libexec', 'sbin', 'share', 'src'] as const;

export function writableUsrLocal(facts: Facts): (FileResource | ExtensionResource)[] {
  const shared = { scope: 'shared' } as const;
  const files: FileResource[] = [
    textFile(`${tree}/usr/lib/extension-release.d/extension-release.${usrLocalName}`, 'ID=_any\n', shared),
    ...parts.map((part) => folder(`${usrLocalFolder}/${part}`, shared)),
    ...parts.map((part) => link(`${tree}/usr/local/${part}`, `${usrLocalFolder}/${part}`)),
  ];
  const extension: ExtensionResource = {
    kind: 'extension',
    id: `extension:${usrLocalName}`,
    ...base({ ...shared, needs: files.map(({ id }) => id) }),
    name: usrLocalName,
    architecture: parseArch(facts.arch.cpu),
    sources: [{ type: 'local', path: tree }],
    tools: [],
  };
  return [...files, extension];
}

function link(path: string, target: string): FileResource {
  return { kind: 'file', id: `file:${path}`, path, ...base({ scope: 'shared' }), entry: { type: 'symlink', target } };
}
