/**
 * Programs of a node found by name: where shells and sudo look for commands, as far as a file of our own can say so. A POSIX
 * login shell reads /etc/profile.d (Debian, Fedora, Azure Linux, Flatcar, SUSE), csh and tcsh what their /etc/csh.login names,
 * fish its own conf.d; sudo replaces the caller's PATH by its `secure_path` (sudoers(5)). What a document puts at these paths
 * itself stays as it says. Nothing of the system is hidden by a program of ours: its folders come last. Pure.
 */
import { base, textFile } from './render-items.ts';
import { programFolder } from '../model/state-paths.ts';
import { dirname } from '../model/path.ts';
import type { FileResource } from '../model/resources.ts';

export const profilePath = '/etc/profile.d/nodekiln.sh';
/** A name without a dot: sudo passes over others. */
export const sudoersPath = '/etc/sudoers.d/nodekiln';
export const fishPath = '/etc/fish/conf.d/nodekiln.fish';
/** Where programs of a document come unless it says otherwise, and the cache is. */
export const toolsFolder = '/opt/bin';

/** On everybody's PATH already. */
const usualFolders: ReadonlySet<string> = new Set(
  ['/usr/local', '/usr', ''].flatMap((prefix) => [`${prefix}/sbin`, `${prefix}/bin`]),
);

/** sudo's own list of folders: absent when its sudoers set none. */
export interface Sudoers {
  readonly securePath?: string;
}

/** Who in a root, beside POSIX shells, is told where to look for commands; absent what is not there. */
export interface PathReaders {
  readonly sudoers?: Sudoers;
  /** Where csh and tcsh read files of others. */
  readonly csh?: CshFolder;
  readonly fish?: true;
}

/** Debian's, and everybody else's. */
export type CshFolder = '/etc/csh/login.d' | '/etc/profile.d';

export interface OwnPath {
  /** Where the manifest's own nodes have their programs. */
  readonly targets: readonly string[];
  /** nodekiln itself is there. */
  readonly program: boolean;
  readonly readers: PathReaders;
}

/** A file or a link that puts folders on the PATH. */
export type PathFile =
  | { readonly path: string; readonly text: string; readonly mode: '0644' | '0440' }
  | { readonly path: string; readonly target: string };

/** What puts these folders, with nodekiln among them, on the PATH. */
export function pathFiles({ targets, program, readers: { sudoers, csh, fish } }: OwnPath): PathFile[] {
  const folders = foldersOf(targets);
  const securePath = sudoers?.securePath;
  return [
    { path: profilePath, text: profile(folders), mode: '0644' },
    ...(csh ? [{ path: cshPath(csh), text: cshProfile(folders), mode: '0644' } as const] : []),
    ...(fish === true ? [{ path: fishPath, text: fishProfile(folders), mode: '0644' } as const] : []),
    // sudo wants it so (sudoers(5), "SUDOERS FILE FORMAT").
    ...(securePath === undefined
      ? []
      : [{ path: sudoersPath, text: sudoersText(securePath, folders), mode: '0440' } as const]),
    ...(program ? [{ path: `${toolsFolder}/nodekiln`, target: `${programFolder}/nodekiln` }] : []),
  ];
}

/** The same as resources of an image. */
export function onThePath(about: OwnPath): FileResource[] {
  return pathFiles(about).map((file) =>
    'target' in file ? link(file) : textFile(file.path, file.text, { scope: 'shared', mode: file.mode }),
  );
}

export function cshPath(folder: CshFolder): string {
  return `${folder}/nodekiln.csh`;
}

/** Without those that a shell or sudo would read as something else. */
function foldersOf(targets: readonly string[]): string[] {
  const folders = new Set([toolsFolder, ...targets.map(dirname)]);
  return [...folders].filter((folder) => !usualFolders.has(folder) && isPlainFolder(folder)).sort();
}

function isPlainFolder(folder: string): boolean {
  return /^(?:\/[\w.+@-]+)+$/.test(folder);
}

const head = '# Written by nodekiln: its programs are found by name.';

/** For any POSIX shell, also one that ends at unset variables. */
function profile(folders: readonly string[]): string {
  return [
    head,
    `for nodekiln_folder in ${folders.join(' ')}; do`,
    '  case ":${PATH-}:" in',
    '    *":${nodekiln_folder}:"*) ;;',
    '    *) PATH="${PATH:+${PATH}:}${nodekiln_folder}" ;;',
    '  esac',
    'done',
    'unset nodekiln_folder',
    'export PATH',
    '',
  ].join('\n');
}

function cshProfile(folders: readonly string[]): string {
  return [
    head,
    `foreach nodekiln_folder ( ${folders.join(' ')} )`,
    '  if ( ":${PATH}:" !~ *:${nodekiln_folder}:* ) setenv PATH "${PATH}:${nodekiln_folder}"',
    'end',
    'unset nodekiln_folder',
    '',
  ].join('\n');
}

function fishProfile(folders: readonly string[]): string {
  return [
    head,
    `for nodekiln_folder in ${folders.join(' ')}`,
    '    contains -- $nodekiln_folder $PATH; or set -gx PATH $PATH $nodekiln_folder',
    'end',
    'set -e nodekiln_folder',
    '',
  ].join('\n');
}

function sudoersText(securePath: string, folders: readonly string[]): string {
  const all = new Set([...securePath.split(':').filter((folder) => folder !== ''), ...folders]);
  return [
    '# Written by nodekiln: what sudo had, and the programs of nodekiln.',
    `Defaults secure_path="${[...all].join(':')}"`,
    '',
  ].join('\n');
}

function link({ path, target }: { path: string; target: string }): FileResource {
  return { kind: 'file', id: `file:${path}`, path, ...base({ scope: 'shared' }), entry: { type: 'symlink', target } };
}

// ── what sudo reads ──────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What sudoers files say, in the order in which sudo reads them. Words that are not plain folders (an escape, a quote within)
 * are taken for none: what is not understood is not written anew. `Defaults` that are bound to a user, host or command are
 * others' (sudoers(5), "Defaults").
 */
export function parseSudoers(texts: readonly string[]): Sudoers {
  let securePath: string | undefined;
  for (const line of texts.flatMap(linesOf)) {
    const parameters = /^\s*Defaults\s+(.*)$/.exec(line)?.[1];
    if (parameters === undefined) continue;
    for (const [, not, quoted, bare] of parameters.matchAll(
      /(?:^|,)\s*(?:(!\s*)secure_path\b|secure_path\s*=\s*(?:"([^"]*)"|([^\s,"]+)))/g,
    ))
      securePath = not === undefined ? (quoted ?? bare)?.replaceAll(String.raw`\:`, ':') : undefined;
  }
  const isPlain = securePath?.split(':').every((folder) => folder === '' || isPlainFolder(folder));
  return securePath !== undefined && isPlain === true ? { securePath } : {};
}

/** Where csh and tcsh look, by what their /etc/csh.login names; undefined where it names neither. */
export function parseCshLogin(text: string): CshFolder | undefined {
  const folders = ['/etc/csh/login.d', '/etc/profile.d'] as const;
  return folders.find((folder) => linesOf(text).some((line) => line.includes(folder)));
}

/** A backslash at its end continues a line; `#` begins a comment, and in older files an include, which is no line of ours. */
function linesOf(text: string): string[] {
  return text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/#.*$/, ''));
}
