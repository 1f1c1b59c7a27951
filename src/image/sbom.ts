/**
 * The bill of materials of an image, from its lock: SPDX 2.3 as JSON (spdx.github.io/spdx-spec/v2.3). Pure and
 * deterministic: equal locks and times give equal text. Names of packages follow the package-url specification.
 */
import { sha256 } from '../host/digest.ts';
import { formatImageLock } from './image-lock.ts';
import type { ImageBinary, ImageLock, ImagePackage } from './image-lock.ts';

interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo?: string;
  readonly packageFileName?: string;
  readonly downloadLocation: string;
  readonly filesAnalyzed: false;
  readonly licenseConcluded: 'NOASSERTION';
  readonly licenseDeclared: 'NOASSERTION';
  readonly copyrightText: 'NOASSERTION';
  readonly primaryPackagePurpose?: 'APPLICATION' | 'CONTAINER' | 'OPERATING-SYSTEM';
  readonly checksums?: readonly { readonly algorithm: 'SHA256'; readonly checksumValue: string }[];
  readonly externalRefs?: readonly {
    readonly referenceCategory: 'PACKAGE-MANAGER';
    readonly referenceType: 'purl';
    readonly referenceLocator: string;
  }[];
}

export interface SbomOptions {
  /** Of nodekiln. */
  readonly toolVersion: string;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
}

const common = {
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  licenseDeclared: 'NOASSERTION',
  copyrightText: 'NOASSERTION',
} as const;

export function spdxDocument(lock: ImageLock, { toolVersion, createdMs }: SbomOptions): string {
  const name = lock.image.name || 'image';
  const image: SpdxPackage = {
    SPDXID: 'SPDXRef-Image',
    name,
    versionInfo: `${lock.image.os}/${lock.image.release} ${lock.image.architecture}`,
    downloadLocation: 'NOASSERTION',
    ...common,
    primaryPackagePurpose: 'OPERATING-SYSTEM',
  };
  const parts = [
    ...lock.binaries.map((binary) => binaryPackage(binary, lock)),
    ...lock.images.map(containerPackage),
    ...[...lock.packages.before, ...lock.packages.installed].map((item) => systemPackage(item, lock)),
  ].toSorted((a, b) => (a.SPDXID < b.SPDXID ? -1 : 1));
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    // Unique to the content, and the same for the same content.
    documentNamespace: `https://nodekiln.dev/spdx/${encodeURIComponent(name)}-${hex(sha256(formatImageLock(lock)))}`,
    creationInfo: {
      created: new Date(Math.floor(createdMs / 1000) * 1000).toISOString().replace('.000Z', 'Z'),
      creators: [`Tool: nodekiln-${toolVersion}`],
    },
    packages: [image, ...parts],
    relationships: [
      relationship('SPDXRef-DOCUMENT', 'DESCRIBES', image.SPDXID),
      ...parts.map((part) => relationship(image.SPDXID, 'CONTAINS', part.SPDXID)),
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function relationship(from: string, type: 'DESCRIBES' | 'CONTAINS', to: string): Record<string, string> {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}

function binaryPackage({ id, tool, version, path, digest }: ImageBinary, lock: ImageLock): SpdxPackage {
  const artifact = lock.artifacts.find((candidate) => candidate.id.startsWith(`${id} `));
  // The index leaves out what may be a secret, and says so.
  const location = (artifact?.location ?? '').replace(/[?#]….*$/u, '');
  return {
    SPDXID: idOf('Binary', path),
    name: tool,
    versionInfo: version,
    packageFileName: path,
    downloadLocation: /^https?:/.test(location) ? location : 'NOASSERTION',
    ...common,
    primaryPackagePurpose: 'APPLICATION',
    // Of the file in the image, which is what a scanner finds.
    checksums: [{ algorithm: 'SHA256', checksumValue: hex(digest) }],
    ...purl(`pkg:generic/${part(tool)}@${part(version)}?checksum=${part(digest)}`),
  };
}

function containerPackage({ reference, digest }: ImageLock['images'][number]): SpdxPackage {
  const [, repository = reference, tag] = /^(.*?)(?::([^:/@]+))?(?:@.*)?$/.exec(reference) ?? [];
  const name = repository.slice(repository.lastIndexOf('/') + 1);
  return {
    SPDXID: idOf('Container', reference),
    name: repository,
    versionInfo: tag ?? digest,
    downloadLocation: 'NOASSERTION',
    ...common,
    primaryPackagePurpose: 'CONTAINER',
    checksums: [{ algorithm: 'SHA256', checksumValue: hex(digest) }],
    ...purl(
      `pkg:oci/${part(name.toLowerCase())}@${part(digest)}?repository_url=${part(repository)}${tag === undefined ? '' : `&tag=${part(tag)}`}`,
    ),
  };
}

function systemPackage({ name, architecture, version }: ImagePackage, { image, packages }: ImageLock): SpdxPackage {
  const type = packages.manager === 'rpm' ? 'rpm' : 'deb';
  return {
    SPDXID: idOf('Package', `${name}-${version}-${architecture}`),
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    ...common,
    ...purl(
      `pkg:${type}/${part(image.os)}/${part(name)}@${part(version)}?arch=${part(architecture)}&distro=${part(`${image.os}-${image.release}`)}`,
    ),
  };
}

function purl(referenceLocator: string): Pick<SpdxPackage, 'externalRefs'> {
  return { externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator }] };
}

/** Letters, digits, dots and hyphens only; what was replaced is told apart by a digest. */
function idOf(kind: string, name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9.-]+/g, '-').replaceAll(/^-+|-+$/g, '');
  const suffix = plain === name ? '' : `-${hex(sha256(name)).slice(0, 8)}`;
  return `SPDXRef-${kind}-${plain}${suffix}`;
}

/** Percent-encoded; purls keep the colon. */
function part(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':');
}

function hex(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}
