/**
 * The schema of Inventory: which versions of which packages and images belong on which platform. What an importer did not
 * understand is carried along under `other`, so that exporting gives every fact back.
 */
import { literal, nullable } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { anyAddress, anyText, doc, fields, flag, freeMap, list, oneOfTypes, opt, text } from './schema-builders.ts';
import { apiVersion, metadata } from './schema-node.ts';

const other = doc('Facts that have no meaning here.', freeMap());

const versionEntry = fields({
  skip: doc('The platform brings its own: nothing is to be done.', flag()),
  latest: opt('The newest version of its line.', nullable(anyText())),
  previous: opt('The one before it, kept for nodes that are not updated yet.', nullable(anyText())),
  kubernetes: opt('The Kubernetes minor version it belongs to, `1.34`.', anyText()),
  update: opt(
    'How a bot finds newer ones; `false`: never.',
    oneOfTypes(anyText(), literal(false), 'a string or false'),
  ),
  other,
});

const platformBlock = fields({
  os: doc('`ubuntu`, `azurelinux`, …; `default` for every other.', anyText()),
  release: doc('`r2204`, `v3.0`, `current`.', anyText()),
  variant: opt('`OSGUARD`, `DEFAULT`.', anyText()),
  url: opt('Template of the address; the platform’s package manager serves when absent.', anyAddress()),
  entries: opt('Versions, in lines of a latest and a previous one.', nullable(list(versionEntry))),
  legacyVersions: opt('The older form: a plain list.', list(anyText())),
  other,
});

const inventoryPackage = fields({
  name: doc('Name of the package.', text()),
  location: opt('Folder in the image that downloads land in.', anyText()),
  blocks: doc('What holds where; the most exact one counts.', list(platformBlock)),
  other,
});

const inventoryImage = fields({
  reference: doc('`registry/repository:*`, the asterisk standing for the version.', anyAddress()),
  amd64Only: opt('Versions for amd64 alone.', list(anyText())),
  multiArch: opt('Versions for every architecture.', nullable(list(versionEntry))),
  legacyMultiArch: opt('The older form: a plain list.', list(anyText())),
  windows: opt('Versions for Windows: of no use here.', list(versionEntry)),
  other,
});

const gpuImage = fields({
  reference: doc('`registry/repository:*`.', anyAddress()),
  version: doc('Its version.', versionEntry),
  other,
});

const artifact = fields({
  name: doc('Name of the artifact.', anyText()),
  reference: doc('Template of the reference.', anyAddress()),
  windows: opt('Versions for Windows: of no use here.', list(versionEntry)),
  other,
});

export const inventoryDocument = fields({
  apiVersion: doc('Version of this schema.', literal(apiVersion)),
  kind: doc('Kind of document.', literal('Inventory')),
  metadata: opt('About the document.', metadata),
  spec: doc(
    'What there is.',
    fields({
      packages: doc('Packages and archives.', list(inventoryPackage)),
      images: doc('Container images.', list(inventoryImage)),
      gpuImages: doc('Container images of GPU drivers.', list(gpuImage)),
      artifacts: doc('OCI artifacts.', list(artifact)),
      other,
    }),
  ),
});

export type InventoryDocument = Infer<typeof inventoryDocument>;
