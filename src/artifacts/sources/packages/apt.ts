/**
 * One package from an apt repository, without apt: the signed Release, the Packages index it vouches for, the package the
 * index vouches for. Source: Debian's repository format (wiki.debian.org/DebianRepository/Format) and apt-secure(8).
 * Only SHA-256 counts.
 *
 * Errors: NK_SIGNATURE, NK_ARTIFACT_MISSING (no such repository, package or build, with what was seen),
 * NK_ARTIFACT_UNREADABLE, NK_ARTIFACT_DIGEST, those of downloads.
 */
import { NodekilnError } from '../../../errors.ts';
import { basename, join } from '../../../model/path.ts';
import { debArch } from '../../../model/arch.ts';
import { textOf } from '../../../model/bytes.ts';
import { matchBuild } from '../../match.ts';
import type { Candidate } from '../../match.ts';
import { download } from '../download.ts';
import { shownUrl } from '../http-client.ts';
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from '../source.ts';
import { requireDigest } from '../local-file.ts';
import { fileBelow, getIndex, getSmall, pieces, withoutSlash } from './get.ts';
import { verifyClearSigned, verifyDetached } from './openpgp.ts';
import { vouchedFor, whenSettled } from './publishing.ts';

type AptSpec = Extract<SourceSpec, { type: 'apt' }>;

export const aptSource: ArtifactSource<'apt'> = {
  type: 'apt',
  fetch: (spec, context) => whenSettled(context, (within) => fetchPackage(spec, within)),
};

/** Clocks of a repository and of a host may differ by this much. */
const clockToleranceMs = 10 * 60_000;

async function fetchPackage(spec: AptSpec, context: FetchContext): Promise<Fetched> {
  const place = placeOf(spec);
  const release = await readRelease(spec, place, context);
  const architecture = debArch(spec.architecture);
  const found = new Map<string, Stanza>();
  for (const path of place.indexes(architecture)) {
    for await (const stanza of stanzas(place, path, { release, context }))
      if (stanza['package'] === spec.package) found.set(`${found.size}`, stanza);
  }
  const candidates = [...found].map(([file, stanza]): Candidate => ({
    file,
    name: spec.package,
    version: stanza['version'] ?? '',
    architecture: stanza['architecture'] ?? '',
  }));
  const { chosen } = matchBuild(
    { kind: 'deb', component: spec.package, version: spec.version, architecture },
    candidates,
  );
  const stanza = chosen && found.get(chosen.file);
  if (!chosen || !stanza) {
    throw new NodekilnError(
      'NK_ARTIFACT_MISSING',
      `${place.shown} has no ${spec.package} ${spec.version} for ${architecture}`,
      {
        resource: place.shown,
        lines:
          candidates.length === 0
            ? [`it has no package ${spec.package}`]
            : candidates.map((one) => `it has ${one.version} for ${one.architecture}`),
      },
    );
  }
  const { filename = '', sha256 = '', size = '' } = stanza;
  if (!/^[0-9a-f]{64}$/.test(sha256) || !/^\d+$/.test(size))
    throw unreadable(place, `names no SHA-256 digest or size for ${spec.package} ${chosen.version}`);
  const url = fileBelow(place.base, filename);
  requireDigest(shownUrl(url), `sha256:${sha256}`, spec.digest);
  const { path, digest } = await vouchedFor(() =>
    download({
      ...context,
      url,
      to: join(context.folder, basename(new URL(url).pathname)),
      digest: `sha256:${sha256}`,
      size: Number(size),
    }),
  );
  return { path, digest, size: Number(size), location: shownUrl(url), version: chosen.version, temporary: true };
}

// ── where things are ─────────────────────────────────────────────────────────────────────────────────────────────

interface Place {
  /** The repository, which file names in indexes start from. */
  readonly base: string;
  /** Where its Release is. */
  readonly suite: string;
  readonly shown: string;
  readonly flat: boolean;
  indexes(architecture: string): readonly string[];
}

/** A suite that ends in a slash is a folder of its own, without components. */
function placeOf({ url, suite, components }: AptSpec): Place {
  const base = withoutSlash(url);
  const flat = suite.endsWith('/');
  const folder = suite.replace(/^\/+|\/+$/g, '');
  if (folder.split('/').includes('..'))
    throw new NodekilnError('NK_DOCUMENT_INVALID', `${JSON.stringify(suite)} is no suite of a repository`);
  return {
    base,
    suite: flat ? withoutSlash(`${base}/${folder}`) : `${base}/dists/${folder}`,
    shown: `${shownUrl(base)} ${suite}`,
    flat,
    indexes: (architecture) =>
      flat ? ['Packages'] : components.map((component) => `${component}/binary-${architecture}/Packages`),
  };
}

function unreadable(place: Place, why: string): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_UNREADABLE', `the repository ${place.shown} ${why}`, { resource: place.shown });
}

// ── Release ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Release {
  readonly byHash: boolean;
  /** Path below the suite → digest and size. */
  readonly files: ReadonlyMap<string, { readonly sha256: string; readonly size: number }>;
}

async function readRelease(spec: AptSpec, place: Place, context: FetchContext): Promise<Release> {
  const signed = {
    what: `the Release of ${place.shown}`,
    keys: [spec.signedBy],
    host: context,
    folder: context.folder,
    signal: context.signal,
  };
  const inline = await getSmall(`${place.suite}/InRelease`, context);
  if (inline) return parseRelease(await verifyClearSigned({ ...signed, content: inline }), spec, { place, context });
  const content = await getSmall(`${place.suite}/Release`, context);
  if (!content)
    throw new NodekilnError(
      'NK_ARTIFACT_MISSING',
      `${place.shown} is no apt repository: it has neither InRelease nor Release`,
      {
        resource: place.shown,
      },
    );
  const signature = await getSmall(`${place.suite}/Release.gpg`, context);
  if (!signature)
    throw new NodekilnError('NK_SIGNATURE', `the Release of ${place.shown} is not signed`, { resource: place.shown });
  await vouchedFor(() => verifyDetached({ ...signed, content, signature }));
  return parseRelease(content, spec, { place, context });
}

function parseRelease(
  bytes: Uint8Array,
  spec: AptSpec,
  { place, context }: { place: Place; context: FetchContext },
): Release {
  const fields = parseStanza(textOf(bytes));
  const now = context.clock.now();
  const [date, until] = [Date.parse(fields['date'] ?? ''), Date.parse(fields['valid-until'] ?? '')];
  for (const [name, time] of [
    ['date', date],
    ['valid-until', until],
  ] as const) {
    if (fields[name] !== undefined && Number.isNaN(time))
      throw unreadable(place, `has a Release whose ${name} is no time: ${fields[name]}`);
  }
  if (until < now)
    throw new NodekilnError('NK_SIGNATURE', `the Release of ${place.shown} was valid until ${fields['valid-until']}`, {
      resource: place.shown,
      hint: 'A server that holds back updates looks like this; so does a host with a wrong clock.',
    });
  if (date > now + clockToleranceMs)
    throw new NodekilnError('NK_SIGNATURE', `the Release of ${place.shown} is dated ${fields['date']}, in the future`, {
      resource: place.shown,
      hint: 'Correct the clock of this machine.',
    });
  const names = [fields['suite'], fields['codename']].filter((name) => name !== undefined);
  const wanted = spec.suite.split('/')[0] ?? '';
  if (!place.flat && names.length > 0 && !names.some((name) => name === spec.suite || name.split('/')[0] === wanted))
    throw unreadable(place, `calls itself ${names.join(', ')}: it is another suite than the one asked for`);
  const files = new Map<string, { sha256: string; size: number }>();
  for (const line of (fields['sha256'] ?? '').split('\n')) {
    const [sha256 = '', size = '', path = ''] = line.trim().split(/\s+/);
    if (/^[0-9a-f]{64}$/.test(sha256) && /^\d+$/.test(size))
      files.set(path.replace(/^\.\//, ''), { sha256, size: Number(size) });
  }
  if (files.size === 0) throw unreadable(place, 'lists no files with SHA-256 digests');
  return { byHash: fields['acquire-by-hash'] === 'yes', files };
}

// ── Packages ─────────────────────────────────────────────────────────────────────────────────────────────────────

type Stanza = Readonly<Record<string, string>>;

/** The quickest to read first. */
const endings = ['.zst', '.xz', '.gz', ''];

async function* stanzas(
  place: Place,
  index: string,
  { release, context }: { release: Release; context: FetchContext },
): AsyncGenerator<Stanza> {
  const path = endings.map((ending) => `${index}${ending}`).find((name) => release.files.has(name));
  const listed = path === undefined ? undefined : release.files.get(path);
  if (path === undefined || !listed) throw unreadable(place, `has no index ${index}`);
  if (listed.size === 0) return;
  const folder = path.includes('/') ? `${path.slice(0, path.lastIndexOf('/'))}/` : '';
  const file = release.byHash ? `${folder}by-hash/SHA256/${listed.sha256}` : path;
  const text = getIndex(
    fileBelow(place.suite, file),
    { digest: `sha256:${listed.sha256}`, size: listed.size },
    context,
  );
  for await (const piece of pieces(text, '\n\n', place.shown)) yield parseStanza(piece);
}

/** Fields by their name in lower case; continuation lines keep their line breaks. deb822(5). */
function parseStanza(text: string): Stanza {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  let last = '';
  for (const line of text.split('\n')) {
    const [, name, value] = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (/^[ \t]/.test(line)) fields[last] = `${fields[last] ?? ''}\n${line}`;
    else if (name !== undefined) {
      last = name.toLowerCase();
      fields[last] = (value ?? '').trim();
    }
  }
  return fields;
}
