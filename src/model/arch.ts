/**
 * Processor architectures in the vocabularies that meet in file names and metadata: Go and OCI (`amd64`), Debian
 * (`amd64`), RPM (`x86_64`) and systemd (`x86-64`, see `Architecture=` in systemd.unit(5)). Pure.
 *
 * One of the two canonical names goes through the code; every spelling is turned into it at the boundary.
 */
import { NodekilnError } from '../errors.ts';

/** The canonical names: Go's and OCI's. */
export type Arch = 'amd64' | 'arm64';

const spellings: Readonly<Record<string, Arch>> = {
  amd64: 'amd64',
  x86_64: 'amd64',
  'x86-64': 'amd64',
  x64: 'amd64',
  arm64: 'arm64',
  aarch64: 'arm64',
};

/** The canonical name of any known spelling, or undefined. */
export function asArch(text: string): Arch | undefined {
  return Object.hasOwn(spellings, text) ? spellings[text] : undefined;
}

/** The canonical name of any known spelling; NK_UNSUPPORTED for anything else. */
export function parseArch(text: string): Arch {
  const arch = asArch(text);
  if (arch) return arch;
  throw new NodekilnError('NK_UNSUPPORTED', `the architecture "${text}" is not known`, {
    hint: `Use amd64 or arm64 (also understood: ${Object.keys(spellings).join(', ')}).`,
  });
}

export function systemdArch(arch: string): 'x86-64' | 'arm64' {
  return parseArch(arch) === 'amd64' ? 'x86-64' : 'arm64';
}

export function debArch(arch: string): 'amd64' | 'arm64' {
  return parseArch(arch);
}

export function rpmArch(arch: string): 'x86_64' | 'aarch64' {
  return parseArch(arch) === 'amd64' ? 'x86_64' : 'aarch64';
}
