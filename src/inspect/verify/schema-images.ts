/** The schemas of what containerd's store holds of images. Foreign data: unknown keys are no errors. */
import { array, exactOptional, looseObject, number, string } from 'zod/mini';

const descriptor = looseObject({
  digest: string(),
  size: number(),
  platform: exactOptional(looseObject({ os: string(), architecture: string() })),
});
export const index = looseObject({ manifests: array(descriptor) });
export const manifest = looseObject({ config: descriptor, layers: array(descriptor) });
