/**
 * What a system extension says about itself, judged as systemd does: form, fit for a host, and what of it would start
 * units. Pure; `kinds/extension/inspect.ts` reads images.
 */

/** File systems that systemd mounts extensions from here. */
export type ExtensionImageForm = 'squashfs' | 'erofs';

/** Bytes from the start of an image that `extensionImageForm` needs. */
export const superblockBytes = 2048;

/** The file system of an image and the bytes it takes by its own superblock; undefined when it is neither. */
export function extensionImageForm(
  start: Uint8Array,
): { readonly form: ExtensionImageForm; readonly bytes: number } | undefined {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length >= 96 && view.getUint32(0, true) === 0x73717368)
    return { form: 'squashfs', bytes: Number(view.getBigUint64(40, true)) };
  if (start.length >= 1152 && view.getUint32(1024, true) === 0xe0f5e1e2)
    return { form: 'erofs', bytes: view.getUint32(1024 + 36, true) * 2 ** view.getUint8(1024 + 12) };
  return undefined;
}

/** Fields of an os-release or extension-release file. */
export type Release = ReadonlyMap<string, string>;

/** os-release(5) and extension-release files: shell assignments without expansion. */
export function parseRelease(text: string): Release {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Z0-9_]+)=(.*?)\s*$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const quoted = /^(["'])(.*)\1$/.exec(match[2]);
    fields.set(match[1], (quoted?.[2] ?? match[2]).replaceAll(/\\(["'$`\\])/g, '$1'));
  }
  return fields;
}

/** Why an extension does not fit a host; undefined when it does. The rules are those of extension-release(5). */
export function releaseMismatch(
  extension: Release,
  host: Release,
  architecture: 'x86-64' | 'arm64',
): string | undefined {
  const field = (from: Release, name: string): string => from.get(name) ?? '';
  const scope = field(extension, 'SYSEXT_SCOPE');
  if (scope !== '' && !scope.split(/\s+/).includes('system')) return `it is for ${scope}, not for a running system`;
  const built = field(extension, 'ARCHITECTURE');
  if (built !== '' && built !== '_any' && built !== architecture)
    return `it is for ${built}, this host is ${architecture}`;
  const id = field(extension, 'ID');
  if (id === '') return 'its extension-release names no ID';
  if (id === '_any') return undefined;
  if (id !== field(host, 'ID')) return `it is for ${id}, this host is ${field(host, 'ID')}`;
  const [hostLevel, hostVersion] = [field(host, 'SYSEXT_LEVEL'), field(host, 'VERSION_ID')];
  if (hostLevel === '' && hostVersion === '') return undefined;
  const level = field(extension, 'SYSEXT_LEVEL');
  if (hostLevel !== '' && level !== '')
    return level === hostLevel ? undefined : `it is for level ${level} of ${id}, this host has ${hostLevel}`;
  const version = field(extension, 'VERSION_ID');
  if (hostVersion === '' || version === hostVersion) return undefined;
  return `it is for ${id} ${version === '' ? 'without a version' : version}, this host is ${id} ${hostVersion}`;
}

/** Whether a drop-in pulls in other units. */
export function pullsUnits(dropIn: string): boolean {
  return /^[ \t]*(?:Upholds|Wants|Requires|Requisite|BindsTo)[ \t]*=[ \t]*\S/m.test(dropIn);
}
