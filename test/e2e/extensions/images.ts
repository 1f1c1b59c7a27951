/** System extensions made as their publishers make them: a tree of /usr, then mksquashfs or mkfs.erofs. */
import { chmod, copyFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../lab/run.ts';
import { ensurePrograms } from '../../servers/programs.ts';

export interface ExtensionTree {
  /** As the extension is called: its extension-release file is named by it. */
  readonly name: string;
  /** Default: `ID=_any`. */
  readonly release?: string;
  /** Programs of /usr/bin: copied from a path of the machine, or a script. */
  readonly programs?: Readonly<Record<string, { readonly from: string } | { readonly script: string }>>;
  /** Further files by path in the extension. */
  readonly files?: Readonly<Record<string, string>>;
  /** Links by path in the extension, and where they lead. */
  readonly links?: Readonly<Record<string, string>>;
}

/** Makes the tree in the folder, which must not exist. */
export async function makeTree(folder: string, tree: ExtensionTree): Promise<void> {
  const put = async (path: string, content: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  };
  await put(`usr/lib/extension-release.d/extension-release.${tree.name}`, tree.release ?? 'ID=_any\n');
  await mkdir(join(folder, 'usr/bin'), { recursive: true });
  for (const [name, program] of Object.entries(tree.programs ?? {})) {
    const path = join(folder, 'usr/bin', name);
    if ('from' in program) await copyFile(program.from, path);
    else await writeFile(path, `#!/bin/sh\n${program.script}\n`);
    await chmod(path, 0o755);
  }
  for (const [path, content] of Object.entries(tree.files ?? {})) await put(path, content);
  for (const [path, target] of Object.entries(tree.links ?? {})) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await symlink(target, join(folder, path));
  }
}

/** Makes an image of the tree. Uncompressed: the tests look at other things. */
export async function makeImage(
  file: string,
  tree: ExtensionTree,
  form: 'squashfs' | 'erofs' = 'squashfs',
): Promise<void> {
  await ensurePrograms([
    { program: 'mksquashfs', package: 'squashfs-tools', why: 'makes extensions' },
    { program: 'mkfs.erofs', package: 'erofs-utils', why: 'makes extensions' },
  ]);
  const folder = `${file}.tree`;
  await makeTree(folder, tree);
  if (form === 'erofs') await run(['mkfs.erofs', '--quiet', '--all-root', file, folder]);
  else
    await run(['mksquashfs', folder, file, '-all-root', '-noappend', '-quiet', '-no-progress', '-noI', '-noD', '-noF']);
  await rm(folder, { recursive: true });
}
