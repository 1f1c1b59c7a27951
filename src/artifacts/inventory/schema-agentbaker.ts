/** The schema of AgentBaker's `components.json`. Foreign data: unknown keys are no errors. */
import { array, exactOptional, looseObject, nullable, record, string } from 'zod/mini';

export const entry = looseObject({
  latestVersion: exactOptional(nullable(string())),
  previousLatestVersion: exactOptional(nullable(string())),
  k8sVersion: exactOptional(string()),
  renovateTag: exactOptional(string()),
});
export const entries = array(entry);
export const block = looseObject({
  versionsV2: exactOptional(nullable(entries)),
  versions: exactOptional(array(string())),
  downloadURL: exactOptional(string()),
});
export const packageItem = looseObject({
  name: string(),
  downloadLocation: exactOptional(string()),
  downloadURIs: record(string(), record(string(), block)),
});
export const image = looseObject({
  downloadURL: string(),
  amd64OnlyVersions: exactOptional(array(string())),
  multiArchVersionsV2: exactOptional(nullable(entries)),
  multiArchVersions: exactOptional(array(string())),
  windowsVersions: exactOptional(entries),
});
export const gpuImage = looseObject({ downloadURL: string(), gpuVersion: entry });
export const artifact = looseObject({ name: string(), registry: string(), windowsVersions: exactOptional(entries) });
export const components = looseObject({
  Packages: exactOptional(array(packageItem)),
  ContainerImages: exactOptional(array(image)),
  GPUContainerImages: exactOptional(array(gpuImage)),
  OCIArtifacts: exactOptional(array(artifact)),
});
