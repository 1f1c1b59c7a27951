/**
 * The lock of an image, `/opt/nodekiln/image.lock.json` in its root: what the bake put there, by digest, and how units
 * stood when it ended. `nodekiln verify` derives every check from it, so that there is no second list. Pure. Sizes in
 * bytes, digests `sha256:<hex>`, modes `"0644"`.
 *
 * Errors: NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID.
 */
import { array, boolean, enum as oneOf, exactOptional, literal, number, strictObject, string } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { digestText, lockedArtifact } from '../artifacts/manifest-lock.ts';
import { NodekilnError } from '../errors.ts';
import type { Problem } from '../errors.ts';

export { imageLockPath } from '../model/state-paths.ts';
export const sbomPath = '/opt/nodekiln/image.spdx.json';

const printedVersion = strictObject({
  /** Arguments that make the program print its version. */
  arguments: array(string()),
  /** The line it prints, in full. */
  line: string(),
});

const imageBinary = strictObject({
  /** `binary:kubelet-1.34.3` */
  id: string(),
  path: string(),
  tool: string(),
  version: string(),
  digest: digestText,
  size: number(),
  /** The version that the file itself states, and where in it; nothing has to be run for it. */
  states: exactOptional(strictObject({ version: string(), from: string() })),
  /** Where the file states none; absent, too, where the program does not say its version. */
  prints: exactOptional(printedVersion),
});

const imagePackage = strictObject({ name: string(), architecture: string(), version: string() });

const imageLock = strictObject({
  apiVersion: literal('nodekiln.dev/v1alpha1'),
  kind: literal('ImageLock'),
  /** Name of the manifest, and what it was baked for. */
  image: strictObject({
    name: string(),
    os: string(),
    release: string(),
    variant: exactOptional(string()),
    architecture: string(),
  }),
  artifacts: array(lockedArtifact),
  binaries: array(imageBinary),
  packages: strictObject({
    manager: oneOf(['dpkg', 'rpm', 'none']),
    /** Those of the root before its first bake. */
    before: array(imagePackage),
    /** Those that the bake brought, or brought to another version. */
    installed: array(imagePackage),
  }),
  images: array(strictObject({ reference: string(), digest: digestText, pinned: boolean() })),
  /** In `systemctl is-enabled`’s words; every unit that is enabled or masked, and those the manifest names. */
  units: array(strictObject({ name: string(), state: string() })),
  files: array(strictObject({ path: string(), digest: digestText, mode: string(), uid: number(), gid: number() })),
  /** Traces of a machine that whoever sealed the image wanted to stay. */
  kept: exactOptional(array(string())),
});

export type ImageLock = Infer<typeof imageLock>;
export type ImageBinary = ImageLock['binaries'][number];
export type ImagePackage = Infer<typeof imagePackage>;
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
  };
  return `${JSON.stringify(sorted, undefined, 2)}\n`;
}
