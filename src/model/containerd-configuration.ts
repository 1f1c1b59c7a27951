/** containerd's configuration: where it lies, how it is known which of it is ours, and which of it is secret. */

export const containerdConfigPath = '/etc/containerd/config.toml';

/** The first line of what is rendered: what a host has without it, somebody else wrote. */
export const writtenByUs = '# Written by nodekiln: what stands here is made anew from its documents.\n';

/** Credentials of registries are known by their names. */
export function namesCredential(key: string): boolean {
  return /^(?:password|auth|identitytoken|token|secret.*|authorization)$/i.test(key);
}

/** Whether there is one in a part of it. */
export function holdsCredential(value: unknown, key = ''): boolean {
  if (typeof value === 'string') return namesCredential(key);
  if (Array.isArray(value)) return value.some((item) => holdsCredential(item, key));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, inner]) => holdsCredential(inner, name));
}
