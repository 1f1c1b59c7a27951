/**
 * One package from a dnf repository, without dnf: repomd.xml, the primary index it vouches for, the package the index
 * vouches for, and the package's own signature (`gpgcheck`), or that of the metadata (`repo_gpgcheck`): at least one of
 * them counts. Source: createrepo_c's metadata, rpm's docs/manual/format_v4.md and signatures_digests.md.
 *
 * Errors: NK_SIGNATURE, NK_ARTIFACT_MISSING (no such repository, package or build, with what was seen),
 * NK_ARTIFACT_UNREADABLE, NK_ARTIFACT_DIGEST, those of downloads.
 */
import { NodekilnError } from '../../../errors.ts';
import { basename, join } from '../../../model/path.ts';
import { rpmArch } from '../../../model/arch.ts';
import { textOf as decoded } from '../../../model/bytes.ts';
import { matchBuild } from '../../match.ts';
import type { Candidate } from '../../match.ts';
import { download } from '../download.ts';
import { shownUrl } from '../http-client.ts';
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from '../source.ts';
import { requireDigest } from '../local-file.ts';
import { fileBelow, getIndex, getSmall, withoutSlash } from './get.ts';
import { verifyDetached } from './openpgp.ts';
import { vouchedFor, whenSettled } from './publishing.ts';
import { verifyRpmSignature } from './rpm-signature.ts';
import { childOf, entriesOf, type Element } from './xml.ts';

type DnfSpec = Extract<SourceSpec, { type: 'dnf' }>;

export const dnfSource: ArtifactSource<'dnf'> = {
  type: 'dnf',
  fetch: (spec, context) => whenSettled(context, (within) => fetchPackage(spec, within)),
};

interface Listed extends Candidate {
  readonly location: string;
  readonly base: string | undefined;
  readonly sha256: string | undefined;
  readonly size: number | undefined;
}

async function fetchPackage(spec: DnfSpec, context: FetchContext): Promise<Fetched> {
  const base = withoutSlash(spec.url);
  const shown = shownUrl(base);
  const primary = await readRepomd(spec, base, context);
  const architecture = rpmArch(spec.architecture);
  const candidates: Listed[] = [];
  const text = getIndex(fileBelow(base, primary.location), primary, context);
  for await (const entry of entriesOf(text, shown)) {
    const listed = listedPackage(entry, `${candidates.length}`);
    if (listed?.name === spec.package) candidates.push(listed);
  }
  const { chosen } = matchBuild(
    { kind: 'rpm', component: spec.package, version: spec.version, architecture },
    candidates,
  );
  const found = candidates.find(({ file }) => file === chosen?.file);
  if (!found) {
    throw new NodekilnError(
      'NK_ARTIFACT_MISSING',
      `${shown} has no ${spec.package} ${spec.version} for ${architecture}`,
      {
        resource: shown,
        lines:
          candidates.length === 0
            ? [`it has no package ${spec.package}`]
            : candidates.map((one) => `it has ${one.version} for ${one.architecture}`),
      },
    );
  }
  if (found.sha256 === undefined || found.size === undefined)
    throw new NodekilnError(
      'NK_ARTIFACT_UNREADABLE',
      `${shown} names no SHA-256 digest or size for ${spec.package} ${found.version}`,
    );
  const { size } = found;
  const url = fileBelow(found.base ?? base, found.location);
  requireDigest(shownUrl(url), `sha256:${found.sha256}`, spec.digest);
  const to = join(context.folder, basename(new URL(url).pathname));
  const { path, digest } = await vouchedFor(() =>
    download({ ...context, url, to, digest: `sha256:${found.sha256}`, size }),
  );
  try {
    await checkSignature(path, spec, { shown: shownUrl(url), listed: found, context });
  } catch (thrown) {
    await context.local.remove([path]);
    throw thrown;
  }
  return { path, digest, size, location: shownUrl(url), version: found.version, temporary: true };
}

/** A signed index vouches for its packages, which then need no signature of their own; a wrong one is refused all the same. */
async function checkSignature(
  path: string,
  { keys, repositorySigned }: DnfSpec,
  { shown, listed, context }: { shown: string; listed: Candidate; context: FetchContext },
): Promise<void> {
  const { folder, signal } = context;
  const outcome = await verifyRpmSignature({ host: context, path, what: shown, keys, folder, signal, listed });
  if (outcome === 'signed' || repositorySigned === true) return;
  throw new NodekilnError('NK_SIGNATURE', `${shown} is not signed`, {
    resource: shown,
    hint: 'Where only the repository’s metadata is signed, say `repositorySigned: true`.',
  });
}

// ── metadata ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface Primary {
  readonly location: string;
  readonly digest: string;
  readonly size?: number;
}

async function readRepomd(spec: DnfSpec, base: string, context: FetchContext): Promise<Primary> {
  const shown = shownUrl(base);
  const url = `${base}/repodata/repomd.xml`;
  const content = await getSmall(url, context);
  if (!content)
    throw new NodekilnError('NK_ARTIFACT_MISSING', `${shown} is no dnf repository: it has no repodata/repomd.xml`, {
      resource: shown,
      hint: 'Name the folder that holds repodata; mirror lists are not followed.',
    });
  if (spec.repositorySigned === true) {
    const signature = await getSmall(`${url}.asc`, context);
    const what = `the metadata of ${shown}`;
    if (!signature) throw new NodekilnError('NK_SIGNATURE', `${what} is not signed`, { resource: shown });
    const { folder, signal } = context;
    await vouchedFor(() =>
      verifyDetached({ host: context, what, keys: spec.keys, folder, signal, content, signature }),
    );
  }
  const primary = await primaryOf(content, shown);
  if (!primary)
    throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${shownUrl(url)} names no primary index with a SHA-256 digest`, {
      resource: shown,
    });
  return primary;
}

async function primaryOf(repomd: Uint8Array, shown: string): Promise<Primary | undefined> {
  for await (const data of entriesOf(whole(decoded(repomd)), shown)) {
    if (data.name !== 'data' || data.attributes['type'] !== 'primary') continue;
    const location = childOf(data, 'location')?.attributes['href'];
    const hex = sha256Of(data);
    if (location === undefined || hex === undefined) return undefined;
    const size = Number(childOf(data, 'size')?.text);
    return { location, digest: `sha256:${hex}`, ...(Number.isSafeInteger(size) && size > 0 && { size }) };
  }
  return undefined;
}

async function* whole(text: string): AsyncGenerator<string> {
  yield text;
}

function sha256Of(element: Element): string | undefined {
  const checksum = childOf(element, 'checksum');
  return checksum?.attributes['type'] === 'sha256' && /^[0-9a-f]{64}$/.test(checksum.text) ? checksum.text : undefined;
}

function listedPackage(entry: Element, file: string): Listed | undefined {
  const [name, version, location] = [childOf(entry, 'name'), childOf(entry, 'version'), childOf(entry, 'location')];
  const href = location?.attributes['href'];
  if (entry.name !== 'package' || !name || !version || href === undefined) return undefined;
  const { epoch = '0', ver = '', rel = '' } = version.attributes;
  const size = Number(childOf(entry, 'size')?.attributes['package']);
  return {
    file,
    name: name.text,
    version: `${epoch === '0' ? '' : `${epoch}:`}${ver}-${rel}`,
    architecture: childOf(entry, 'arch')?.text ?? '',
    location: href,
    base: location?.attributes['xml:base'],
    sha256: sha256Of(entry),
    size: Number.isSafeInteger(size) ? size : undefined,
  };
}
