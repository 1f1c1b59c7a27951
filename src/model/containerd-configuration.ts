/** containerd's configuration: where it lies, and how it is known which of it is ours. */

export const containerdConfigPath = '/etc/containerd/config.toml';

/** The first line of what is rendered: what a host has without it, somebody else wrote. */
export const writtenByUs = '# Written by nodekiln: what stands here is made anew from its documents.\n';
