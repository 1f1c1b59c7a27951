/** The lock of an image that was baked with nothing. */
import type { ImageLock } from '../../src/image/image-lock.ts';

export const emptyImageLock: ImageLock = {
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'ImageLock',
  image: { name: 'x', os: 'debian', release: '12', architecture: 'amd64' },
  artifacts: [],
  binaries: [],
  packages: { manager: 'none', before: [], installed: [] },
  images: [],
  units: [],
  files: [],
};
