/**
 * The lock of an image, `/opt/nodekiln/image.lock.json` in its root: what the bake put there, by digest, and how units
 * stood when it ended. `nodekiln verify` derives every check from it, so that there is no second list. Pure. Sizes in
 * bytes, digests `sha256:<hex>`, modes `"0644"`.
 *
 * Errors: NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID.
 */
import type { infer as Infer } from 'zod/mini';
import { NodekilnError } from '../errors.ts';
import type { Problem } from '../errors.ts';
import type { imageExtension, imagePackage, ownChecks, printedVersion } from './schema-image-lock.ts';
import { imageLock } from './schema-image-lock.ts';

export { imageLockPath } from '../model/state-paths.ts';
export const sbomPath = '/opt/nodekiln/image.spdx.json';

export type ImageLock = Infer<typeof imageLock>;
export type ImageBinary = ImageLock['binaries'][number];
export type ImagePackage = Infer<typeof imagePackage>;
export type ImageExtension = Infer<typeof imageExtension>;
export type OwnChecks = Infer<typeof ownChecks>;
export type PrintedVersion = Infer<typeof printedVersion>;

export function parseImageLock(text: string, file: string): ImageLock {
  const hint = 'Bake the image again.';
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is no JSON`, { cause, place: { file }, hint });
  }
  const parsed = imageLock.safeParse(data);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue): Problem => ({
    message: issue.message,
    place: { file, path: issue.path.join('.') },
  }));
  throw new NodekilnError('NK_DOCUMENT_INVALID', `${file} is not valid`, { place: { file }, problems, hint });
}

/** Lists sorted, so that equal images have equal locks. */
export function formatImageLock(lock: ImageLock): string {
  const by =
    <T>(key: (entry: T) => string) =>
    (left: T, right: T): number => {
      const [a, b] = [key(left), key(right)];
      return a < b ? -1 : a > b ? 1 : 0;
    };
  const packageKey = ({ name, architecture, version }: ImagePackage): string => `${name} ${architecture} ${version}`;
  const sorted: ImageLock = {
    ...lock,
    artifacts: lock.artifacts.toSorted(by(({ id }) => id)),
    binaries: lock.binaries.toSorted(by(({ path }) => path)),
    packages: {
      manager: lock.packages.manager,
      before: lock.packages.before.toSorted(by(packageKey)),
      installed: lock.packages.installed.toSorted(by(packageKey)),
    },
    images: lock.images.toSorted(by(({ reference }) => reference)),
    units: lock.units.toSorted(by(({ name }) => name)),
    files: lock.files.toSorted(by(({ path }) => path)),
    ...(lock.links && { links: lock.links.toSorted(by(({ path }) => path)) }),
    ...(lock.folders && { folders: lock.folders.toSorted(by(({ path }) => path)) }),
    ...(lock.extensions && { extensions: lock.extensions.toSorted(by(({ path }) => path)) }),
  };
  return `${JSON.stringify(sorted, undefined, 2)}\n`;
}
