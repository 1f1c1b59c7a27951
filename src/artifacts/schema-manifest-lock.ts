/** The schema of a manifest's lock file. */
import { array, exactOptional, literal, number, regex, strictObject, string } from 'zod/mini';

export const digestText = string().check(regex(/^sha256:[0-9a-f]{64}$/));

export const lockedArtifact = strictObject({
  /** Unique in the lock, resource and target: `binary:kubelet-1.34.3 debian/13 amd64`. */
  id: string(),
  /** What the manifest asked for, without what was resolved: while it stays, so must the digest. */
  asked: string(),
  /** The address, path or reference it was taken from, without secrets; paths relative to the manifest. */
  location: string(),
  digest: digestText,
  size: number(),
  /** In full, as the artifact states it. */
  version: exactOptional(string()),
});

/** A package that the distribution's package manager put into the image. */
export const lockedPackage = strictObject({
  /** `package:containerd:amd64 debian/13 amd64` */
  id: string(),
  version: string(),
  /** Of the package file, where the repository's metadata are at hand. */
  digest: exactOptional(digestText),
  size: exactOptional(number()),
});

export const lockFile = strictObject({
  apiVersion: literal('nodekiln.dev/v1alpha1'),
  kind: literal('ArtifactLock'),
  artifacts: array(lockedArtifact),
  packages: array(lockedPackage),
});
