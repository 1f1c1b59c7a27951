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

const imageExtension = strictObject({
  /** `/etc/extensions/kubelet.raw` */
  path: string(),
  /** Of the image, or of the tree of a folder; absent when it is a link to nothing. */
  digest: exactOptional(digestText),
  /** Where it leads when it is a link. */
  target: exactOptional(string()),
});

const ownChecks = strictObject({
  absent: array(string()),
  present: array(
    strictObject({
      path: string(),
      type: exactOptional(oneOf(['file', 'directory', 'symlink'])),
      mode: exactOptional(string()),
      uid: exactOptional(number()),
      gid: exactOptional(number()),
    }),
  ),
  /** In `systemctl is-enabled`’s words; `absent` for a unit that is not there. */
  units: array(strictObject({ name: string(), state: string() })),
  noLogins: boolean(),
  freeBytes: exactOptional(number()),
});

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
  /** Links and folders of the manifest. Locks of an earlier nodekiln have none of these lists. */
  links: exactOptional(array(strictObject({ path: string(), target: string() }))),
  folders: exactOptional(array(strictObject({ path: string(), mode: string(), uid: number(), gid: number() }))),
  /** Everything that systemd would merge, whoever brought it. */
  extensions: exactOptional(array(imageExtension)),
  /** What the manifest wants of the image beyond what it brings. */
  checks: exactOptional(ownChecks),
  /** Traces of a machine that whoever sealed the image wanted to stay. */
  kept: exactOptional(array(string())),
});

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
