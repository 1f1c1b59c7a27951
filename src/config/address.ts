/**
 * Addresses of artifacts as documents write them, placeholders and all: told from their form, before anything is fetched.
 * No message shows one, since it may hold a secret. Pure.
 */
import { asReference } from '../model/reference.ts';
import { expandTemplate, type TemplateValues } from './template.ts';

/** What may stand for an artifact: a web address, an OCI reference, or either. */
export type AddressKind = 'url' | 'reference' | 'any';

/** How each is said to people. */
export const addressForms: Readonly<Record<AddressKind, string>> = {
  url: 'a URL like "https://example.org/kubelet-{version}.deb"',
  reference: 'an OCI reference with registry and a tag or digest, like "registry.example/kubelet:{tag}"',
  any: 'a URL like "https://example.org/kubelet-{version}.deb" or an OCI reference like "registry.example/kubelet:{tag}"',
};

/** Any values: only the form of what becomes of the template counts. */
const sample: TemplateValues = {
  tool: 'tool',
  version: '1.0.0',
  upstream: '1.0.0',
  tag: 'v1.0.0',
  arch: 'amd64',
  debArch: 'amd64',
  rpmArch: 'x86_64',
  systemdArch: 'x86-64',
};

/** What is wrong with an address of the kind; undefined for a right one. */
export function whyNoAddress(template: string, kind: AddressKind): string | undefined {
  const text = expandTemplate(template, sample);
  if (kind !== 'reference' && /^https?:\/\/[^\s/]\S*$/i.test(text) && URL.canParse(text)) return undefined;
  if (kind !== 'url' && asReference(text)) return undefined;
  const fault = addressFault(text);
  return `must be ${addressForms[kind]}${fault === undefined ? '' : `; ${fault}`}`;
}

/** What is wrong with what is no address, without showing it; undefined when nothing particular is. */
export function addressFault(text: string): string | undefined {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (scheme !== undefined && !/^https?$/i.test(scheme)) return `nothing is fetched by "${scheme}:"`;
  if (scheme !== undefined) return undefined;
  if (/@[a-z0-9]*:?[^/@]*$/i.test(text) && !/@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(text))
    return 'what follows "@" is no digest, "sha256:" and 64 hexadecimal digits';
  if (asReference(`registry.example/${text}`)) return 'it names no registry';
  if (asReference(`${text}:tag`)) return 'it names no tag and no digest';
  return undefined;
}
