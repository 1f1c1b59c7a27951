/**
 * AgentBaker's `components.json` as an inventory, and back. Every fact survives the way there and back: what is not
 * understood is carried along. Foreign data: unknown keys are no errors, wrong types are. Pure.
 *
 * Errors: NK_DOCUMENT_SYNTAX, NK_DOCUMENT_KIND, NK_DOCUMENT_INVALID.
 */
import type { infer as Infer } from 'zod/mini';
import { nothingLeft } from '../../config/completion.ts';
import { foreignDocument } from '../../config/foreign-kind.ts';
import { isMap } from '../../config/paths.ts';
import { NodekilnError } from '../../errors.ts';
import type {
  Facts,
  Inventory,
  InventoryArtifact,
  InventoryGpuImage,
  InventoryImage,
  InventoryPackage,
  PlatformBlock,
  VersionEntry,
} from './inventory.ts';
import type { block, entry, image, packageItem } from './schema-agentbaker.ts';
import { components } from './schema-agentbaker.ts';

const skip = '<SKIP>';
const neverUpdate = '<DO_NOT_UPDATE>';

/** `file`: for messages. */
export function importAgentbaker(text: string, file: string): Inventory {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (thrown) {
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is no JSON`, { cause: thrown, place: { file } });
  }
  refuseOther(data, file);
  const parsed = components.safeParse(data);
  if (!parsed.success) {
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${file} is no inventory of the expected form`, {
      place: { file },
      problems: parsed.error.issues.map((issue) => ({
        message: issue.message,
        place: { file, path: issue.path.join('.') },
      })),
    });
  }
  const { Packages = [], ContainerImages = [], GPUContainerImages = [], OCIArtifacts = [], ...other } = parsed.data;
  return {
    packages: Packages.map(importPackage),
    images: ContainerImages.map(importImage),
    gpuImages: GPUContainerImages.map(({ downloadURL, gpuVersion, ...rest }): InventoryGpuImage => ({
      reference: downloadURL,
      version: importEntry(gpuVersion),
      other: rest,
    })),
    artifacts: OCIArtifacts.map(({ name, registry, windowsVersions, ...rest }): InventoryArtifact => ({
      name,
      reference: registry,
      ...(windowsVersions && { windows: windowsVersions.map(importEntry) }),
      other: rest,
    })),
    other,
  };
}

/** Every list may be missing, but a file that has none of them is no inventory. */
function refuseOther(data: unknown, file: string): void {
  const lists: readonly (keyof Infer<typeof components>)[] = [
    'Packages',
    'ContainerImages',
    'GPUContainerImages',
    'OCIArtifacts',
  ];
  if (isMap(data) && lists.some((list) => Object.hasOwn(data, list))) return;
  throw new NodekilnError(
    'NK_DOCUMENT_KIND',
    `${file} is no inventory of AgentBaker: it has none of ${lists.join(', ')}`,
    {
      place: { file },
      hint: whatItIs(isMap(data) ? data : {}),
    },
  );
}

function whatItIs(data: Readonly<Record<string, unknown>>): string {
  const { apiVersion } = data;
  if (typeof apiVersion === 'string' && apiVersion.startsWith('nodekiln.dev/'))
    return 'It is a document of nodekiln already: there is nothing to import.';
  const foreign = foreignDocument(data);
  return foreign === undefined ? 'Give AgentBaker’s components.json.' : `It looks like ${foreign}`;
}

function importPackage({
  name,
  downloadLocation,
  downloadURIs,
  ...other
}: Infer<typeof packageItem>): InventoryPackage {
  const blocks = Object.entries(downloadURIs).flatMap(([os, releases]) =>
    Object.entries(releases).map(([key, value]) => importBlock(os, key, value)),
  );
  // A system without any release is a fact too, though nothing follows from it.
  const empty = Object.keys(downloadURIs).filter((os) => Object.keys(downloadURIs[os] ?? {}).length === 0);
  return {
    name,
    ...(downloadLocation !== undefined && { location: downloadLocation }),
    blocks,
    other: { ...other, ...(empty.length > 0 && { emptySystems: empty }) },
  };
}

function importBlock(
  os: string,
  key: string,
  { versionsV2, versions, downloadURL, ...other }: Infer<typeof block>,
): PlatformBlock {
  const slash = key.indexOf('/');
  return {
    os,
    release: key.slice(slash + 1),
    ...(slash >= 0 && { variant: key.slice(0, slash) }),
    ...(downloadURL !== undefined && { url: downloadURL }),
    ...(versionsV2 !== undefined && { entries: versionsV2 && versionsV2.map(importEntry) }),
    ...(versions && { legacyVersions: versions }),
    other,
  };
}

function importEntry({
  latestVersion,
  previousLatestVersion,
  k8sVersion,
  renovateTag,
  ...other
}: Infer<typeof entry>): VersionEntry {
  return {
    skip: latestVersion === skip,
    ...(latestVersion !== undefined && latestVersion !== skip && { latest: latestVersion }),
    ...(previousLatestVersion !== undefined && { previous: previousLatestVersion }),
    ...(k8sVersion !== undefined && { kubernetes: k8sVersion }),
    ...(renovateTag !== undefined && { update: renovateTag === neverUpdate ? false : renovateTag }),
    other,
  };
}

function importImage({
  downloadURL,
  amd64OnlyVersions,
  multiArchVersionsV2,
  multiArchVersions,
  windowsVersions,
  ...other
}: Infer<typeof image>): InventoryImage {
  return {
    reference: downloadURL,
    ...(amd64OnlyVersions && { amd64Only: amd64OnlyVersions }),
    ...(multiArchVersionsV2 !== undefined && {
      multiArch: multiArchVersionsV2 && multiArchVersionsV2.map(importEntry),
    }),
    ...(multiArchVersions && { legacyMultiArch: multiArchVersions }),
    ...(windowsVersions && { windows: windowsVersions.map(importEntry) }),
    other,
  };
}

/** The data that `importAgentbaker` made the inventory of. */
export function exportAgentbaker({ packages, images, gpuImages, artifacts, other, ...rest }: Inventory): Facts {
  nothingLeft(rest);
  const list = (name: string, values: readonly Facts[]): Facts => (values.length > 0 ? { [name]: values } : {});
  return {
    ...list('ContainerImages', images.map(exportImage)),
    ...list('GPUContainerImages', gpuImages.map(exportGpuImage)),
    ...list('Packages', packages.map(exportPackage)),
    ...list('OCIArtifacts', artifacts.map(exportArtifact)),
    ...other,
  };
}

function exportGpuImage({ reference, version, other, ...rest }: InventoryGpuImage): Facts {
  nothingLeft(rest);
  return { downloadURL: reference, gpuVersion: exportEntry(version), ...other };
}

function exportArtifact({ name, reference, windows, other, ...rest }: InventoryArtifact): Facts {
  nothingLeft(rest);
  return {
    name,
    registry: reference,
    ...(windows && { windowsVersions: windows.map(exportEntry) }),
    ...other,
  };
}

function exportPackage({ name, location, blocks, other: facts, ...rest }: InventoryPackage): Facts {
  nothingLeft(rest);
  const { emptySystems, ...other } = facts;
  const systems: Record<string, Record<string, Facts>> = {};
  for (const os of Array.isArray(emptySystems) ? emptySystems : []) systems[String(os)] = {};
  for (const one of blocks) {
    const { os, release, variant, ...held } = one;
    (systems[os] ??= {})[variant === undefined ? release : `${variant}/${release}`] = exportBlock(held);
  }
  return { name, ...(location !== undefined && { downloadLocation: location }), downloadURIs: systems, ...other };
}

function exportBlock({
  url,
  entries,
  legacyVersions,
  other,
  ...rest
}: Omit<PlatformBlock, 'os' | 'release' | 'variant'>): Facts {
  nothingLeft(rest);
  return {
    ...(entries !== undefined && { versionsV2: entries && entries.map(exportEntry) }),
    ...(legacyVersions && { versions: legacyVersions }),
    ...(url !== undefined && { downloadURL: url }),
    ...other,
  };
}

function exportImage(image: InventoryImage): Facts {
  const { reference, amd64Only, multiArch, legacyMultiArch, windows, other, ...rest } = image;
  nothingLeft(rest);
  return {
    downloadURL: reference,
    ...(amd64Only && { amd64OnlyVersions: amd64Only }),
    ...(multiArch !== undefined && { multiArchVersionsV2: multiArch && multiArch.map(exportEntry) }),
    ...(legacyMultiArch && { multiArchVersions: legacyMultiArch }),
    ...(windows && { windowsVersions: windows.map(exportEntry) }),
    ...other,
  };
}

function exportEntry(version: VersionEntry): Facts {
  const { skip: skipped, latest, previous, kubernetes, update, other, ...rest } = version;
  nothingLeft(rest);
  return {
    ...(kubernetes !== undefined && { k8sVersion: kubernetes }),
    ...(update !== undefined && { renovateTag: update === false ? neverUpdate : update }),
    ...(skipped ? { latestVersion: skip } : latest !== undefined && { latestVersion: latest }),
    ...(previous !== undefined && { previousLatestVersion: previous }),
    ...other,
  };
}
