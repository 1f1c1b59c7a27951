/**
 * Programs of an image found by name: where shells and sudo look for commands, as far as a file of our own can say so. A
 * login shell reads /etc/profile.d (Debian, Fedora, Azure Linux, Flatcar, SUSE), sudo replaces the caller's PATH by its
 * `secure_path` (sudoers(5)). What a document puts at these paths itself stays as it says. Nothing of the system is hidden by
 * a program of the image: its folders come last. Pure.
 */
import { base, textFile } from './render-items.ts';
import { programFolder } from '../model/state-paths.ts';
import { dirname } from '../model/path.ts';
import type { FileResource } from '../model/resources.ts';

export const profilePath = '/etc/profile.d/nodekiln.sh';
/** A name without a dot: sudo passes over others. */
export const sudoersPath = '/etc/sudoers.d/nodekiln';
/** Where programs of a document come unless it says otherwise, and the cache is. */
const toolsFolder = '/opt/bin';

/** On everybody's PATH already. */
const usualFolders: ReadonlySet<string> = new Set(
  ['/usr/local', '/usr', ''].flatMap((prefix) => [`${prefix}/sbin`, `${prefix}/bin`]),
);
const standardSecurePath = [...usualFolders].join(':');

/** sudo's own list of folders, in the root that is baked: absent when its sudoers set none. */
export interface Sudoers {
  readonly securePath?: string;
}

export interface OwnPath {
  /** Where the manifest's own nodes have their programs. */
  readonly targets: readonly string[];
  /** nodekiln itself is in the image. */
  readonly program: boolean;
  /** Of the root; undefined when it has no sudo. */
  readonly sudoers: Sudoers | undefined;
  /** The manifest installs it. */
  readonly installsSudo: boolean;
}

/** What puts these folders, with nodekiln among them, on the PATH. */
export function onThePath({ targets, program, sudoers, installsSudo }: OwnPath): FileResource[] {
  const folders = foldersOf(targets);
  const shared = { scope: 'shared' } as const;
  const securePath = sudoers ? sudoers.securePath : installsSudo ? standardSecurePath : undefined;
  return [
    textFile(profilePath, profile(folders), shared),
    ...(securePath === undefined ? [] : [textFile(sudoersPath, sudoersText(securePath, folders), sudoersFile)]),
    ...(program ? [link(`${toolsFolder}/nodekiln`, `${programFolder}/nodekiln`)] : []),
  ];
}

const sudoersFile = { scope: 'shared', mode: '0440' } as const;

/** Without those that a shell or sudo would read as something else. */
function foldersOf(targets: readonly string[]): string[] {
  const folders = new Set([toolsFolder, ...targets.map(dirname)]);
  return [...folders].filter((folder) => !usualFolders.has(folder) && isPlainFolder(folder)).sort();
}

function isPlainFolder(folder: string): boolean {
  return /^(?:\/[\w.+@-]+)+$/.test(folder);
}

/** For any POSIX shell, also one that ends at unset variables. */
function profile(folders: readonly string[]): string {
  return [
    '# Written by nodekiln: programs of this image are found by name (`nodekiln.path` of its manifest).',
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

function sudoersText(securePath: string, folders: readonly string[]): string {
  const all = new Set([...securePath.split(':').filter((folder) => folder !== ''), ...folders]);
  return [
    '# Written by nodekiln: what this image had, and its programs (`nodekiln.path` of its manifest).',
    `Defaults secure_path="${[...all].join(':')}"`,
    '',
  ].join('\n');
}

function link(path: string, target: string): FileResource {
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

/** A backslash at its end continues a line; `#` begins a comment, and in older files an include, which is no line of ours. */
function linesOf(text: string): string[] {
  return text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/#.*$/, ''));
}
