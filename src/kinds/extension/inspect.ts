/**
 * Looks into an extension without leaving anything mounted: an image is mounted read-only in a mount namespace that ends
 * with the command. Answers which of its files must be masked before it is merged.
 *
 * NK_EXTENSION_REFUSED when it does not fit the host or holds what must not be merged; NK_ARTIFACT_UNREADABLE when it is
 * truncated or no squashfs or erofs; NK_ARTIFACT_MEMBER when a tool is not in it.
 */
import {
  extensionImageForm,
  parseRelease,
  pullsUnits,
  releaseMismatch,
  superblockBytes,
} from '../../artifacts/extension.ts';
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import { imagesFolder } from './records.ts';
import { join } from '../../model/path.ts';
import { textOf } from '../../model/bytes.ts';
import { inTemporaryFolder } from '../../host/temporary-folder.ts';

/** An extension on the host, and what is expected of it. */
export interface InspectRequest {
  readonly file: string;
  readonly name: string;
  readonly architecture: 'x86-64' | 'arm64';
  readonly tools: readonly string[];
  readonly signal?: AbortSignal;
}

const unitFolders = ['usr/lib/systemd/system', 'usr/local/lib/systemd/system'];

/** Copies what is judged: names of the first levels, units, extension-release. Links on the way are not followed. */
const script = `
set -e
form=$1 file=$2 out=$3
if [ "$form" = folder ]; then cd "$file"; else
  mkdir "$out/mnt"
  mount -t "$form" -o ro,loop,nosuid,nodev "$file" "$out/mnt"
  cd "$out/mnt"
fi
mkdir "$out/copy"
list() { if [ -d "$1" ] && [ ! -L "$1" ]; then ls -A "$1"; fi; }
list . >"$out/top"
list opt >"$out/opt"
list etc >"$out/etc"
list usr/bin >"$out/tools"
if [ -e usr/lib/os-release ]; then echo yes; fi >"$out/system"
for folder in ${unitFolders.join(' ')} usr/lib/extension-release.d; do
  if [ ! -L usr ] && [ ! -L "\${folder%/*}" ] && [ -d "$folder" ] && [ ! -L "$folder" ]; then cp -dR --parents "$folder" "$out/copy"; fi
done
`;
const timeoutMs = 60_000;

/** `masks`: links that must lie over files of the extension before it is merged, so that it starts nothing. Errors above. */
export async function inspectExtension(host: Host, request: InspectRequest): Promise<{ readonly masks: string[] }> {
  const { files } = host;
  const { file } = request;
  const form = (await files.stat(file))?.type === 'directory' ? 'folder' : await readForm(host, file);
  await files.write([{ type: 'directory', path: imagesFolder, mode: 0o755, uid: 0, gid: 0 }]);
  return inTemporaryFolder(files, imagesFolder, async (out) => {
    const argv = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', form, file, out];
    const result = await host.exec.run(argv, { timeoutMs, ...(request.signal && { signal: request.signal }) });
    if (result.status !== 0) {
      throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${file} cannot be read as ${form}`, {
        resource: `extension:${request.name}`,
        lines: result.stderr.trim().split('\n').slice(-5),
      });
    }
    await judge(host, request, out);
    return { masks: await masksOf(host, join(out, 'copy')) };
  });
}

async function readForm({ files }: Host, file: string): Promise<string> {
  const opened = await files.open(file);
  if (!opened) throw new NodekilnError('NK_ARTIFACT_MISSING', `there is no ${file}`);
  try {
    const found = extensionImageForm(await opened.read(0, superblockBytes));
    if (!found) throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${file} is no squashfs or erofs image`);
    const { size } = opened.stat;
    if (size >= found.bytes) return found.form;
    throw new NodekilnError(
      'NK_ARTIFACT_UNREADABLE',
      `${file} is truncated: it has ${size} bytes of the ${found.bytes} of its ${found.form}`,
    );
  } finally {
    await opened.close();
  }
}

async function judge({ files }: Host, request: InspectRequest, out: string): Promise<void> {
  const refuse = (why: string, hint?: string): NodekilnError =>
    new NodekilnError('NK_EXTENSION_REFUSED', `the extension ${request.name} (${request.file}) is refused: ${why}`, {
      resource: `extension:${request.name}`,
      ...(hint !== undefined && { hint }),
    });
  const lines = async (name: string): Promise<string[]> =>
    textOf(await files.read(join(out, name)))
      ?.split('\n')
      .filter(Boolean) ?? [];
  const top = await lines('top');
  for (const folder of ['opt', 'etc']) {
    const content = await lines(folder);
    // A link in its place counts as content, too.
    if (content.length > 0) throw refuse(`it has content in /${folder}: ${content.slice(0, 5).join(', ')}`);
  }
  if (!top.includes('usr')) throw refuse('it has no /usr');
  if ((await lines('system')).length > 0) throw refuse('it has an os-release of its own, so it is a whole system');

  const release = await files.read(join(out, `copy/usr/lib/extension-release.d/extension-release.${request.name}`));
  if (!release) {
    const others = (await files.list(join(out, 'copy/usr/lib/extension-release.d'))).join(', ');
    throw refuse(
      `it has no extension-release.${request.name}${others === '' ? '' : `, only ${others}`}`,
      'The name of the extension must be the one that its extension-release file ends with.',
    );
  }
  const system = (await files.read('/etc/os-release')) ?? (await files.read('/usr/lib/os-release'));
  const mismatch = releaseMismatch(
    parseRelease(textOf(release)),
    parseRelease(textOf(system) ?? ''),
    request.architecture,
  );
  if (mismatch !== undefined) throw refuse(mismatch);

  const programs = await lines('tools');
  const missing = request.tools.filter((tool) => !programs.includes(tool));
  if (missing.length === 0) return;
  throw new NodekilnError(
    'NK_ARTIFACT_MEMBER',
    `the extension ${request.name} (${request.file}) has no ${missing.map((tool) => `/usr/bin/${tool}`).join(', ')}`,
    { resource: `extension:${request.name}`, hint: 'Correct `tools` of the extension.' },
  );
}

/**
 * Links to /dev/null over drop-ins and links of the extension by which units of the host pull in others: kubelet must not
 * run before it is configured. The unit itself is never masked, and what belongs to units of the extension stays.
 */
async function masksOf({ files }: Host, copy: string): Promise<string[]> {
  const masks = new Set<string>();
  const listings = await Promise.all(
    unitFolders.map(async (folder) => [folder, await files.list(join(copy, folder))] as const),
  );
  const own = new Set(listings.flatMap(([, names]) => names));
  for (const [folder, names] of listings) {
    for (const name of names) {
      const match = /^(.+)\.(d|wants|requires|upholds)$/.exec(name);
      if (match?.[1] === undefined || own.has(match[1])) continue;
      for (const entry of await files.list(join(copy, folder, name))) {
        const starts =
          match[2] !== 'd' ||
          (entry.endsWith('.conf') && pullsUnits(textOf(await files.read(join(copy, folder, name, entry))) ?? ''));
        if (starts) masks.add(`/etc/systemd/system/${name}/${entry}`);
      }
    }
  }
  return [...masks].sort();
}
