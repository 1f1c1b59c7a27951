/** The schema of an image's lock. */
import { array, boolean, enum as oneOf, exactOptional, literal, number, strictObject, string } from 'zod/mini';
import { digestText, lockedArtifact } from '../artifacts/schema-manifest-lock.ts';

export const printedVersion = strictObject({
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

export const imagePackage = strictObject({ name: string(), architecture: string(), version: string() });

export const imageExtension = strictObject({
  /** `/etc/extensions/kubelet.raw` */
  path: string(),
  /** Of the image, or of the tree of a folder; absent when it is a link to nothing. */
  digest: exactOptional(digestText),
  /** Where it leads when it is a link. */
  target: exactOptional(string()),
});

export const ownChecks = strictObject({
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

export const imageLock = strictObject({
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
