/**
 * Names of image repositories and tags. Unlike artifacts (`model/reference.ts`), Docker's short names are right here:
 * the image goes into a pod, and kubelet completes them. Source: the grammar of the distribution project. Pure.
 */
const domain =
  '(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\\[[0-9a-fA-F:]+\\])(?::\\d{1,5})?';
const part = '[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*';
const digest = 'sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}';

/** `registry.example/team/tools`, `team/tools`. */
export const repositoryPattern = new RegExp(`^(?=.{1,255}$)(?:${domain}/)?${part}(?:/${part})*$`);
/** A tag, perhaps with the digest it must have: `1.26@sha256:…`. */
export const tagPattern = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@(?:${digest}))?$`);
export const digestPattern = new RegExp(`^(?:${digest})$`);
/** Such that `<major>.<minor>-<revision>` is a tag. */
export const revisionPattern = /^[A-Za-z0-9_.-]{1,64}$/;

/** `1.26@sha256:…` → tag and digest. */
export function splitTag(text: string): { readonly tag: string; readonly digest?: string } {
  const [tag = '', digest] = text.split('@');
  return { tag, ...(digest !== undefined && { digest }) };
}
