/** The schemas of what lies in archives of container images: OCI image-layout and image-index, docker image specification v1.2. */
import { array, exactOptional, looseObject, string } from 'zod/mini';

export const platform = looseObject({
  architecture: string(),
  os: string(),
  variant: exactOptional(string()),
});
const descriptor = looseObject({ digest: string(), mediaType: exactOptional(string()) });
export const index = looseObject({ manifests: array(descriptor) });
export const manifest = looseObject({ config: descriptor });
export const dockerManifest = array(looseObject({ Config: string() }));
