/**
 * Gets an extension from the first source that has it and checks it against the host; what comes of it is a candidate
 * record that the merge takes up. Images from elsewhere are kept below /var/lib/nodekiln/extensions.
 *
 * NK_EXTENSION_REFUSED, NK_ARTIFACT_UNREADABLE (truncated), NK_ARTIFACT_DIGEST, NK_ARTIFACT_MISSING, NK_TAGS_UNAVAILABLE,
 * NK_ARTIFACT_NONE_USABLE or NK_FILE_WRITE when several sources failed.
 */
import { systemdArch } from '../../model/arch.ts';
import type { Host } from '../../host/port.ts';
import { matchDirectory } from '../../artifacts/match-directory.ts';
import { matchBuild, tagCandidate } from '../../artifacts/match.ts';
import { progressText } from '../../artifacts/sources/progress.ts';
import { reveal, type ExtensionResource, type ExtensionSource } from '../../model/resources.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import type { ExtensionRecord } from '../../model/steps.ts';
import type { PerformContext } from '../performer.ts';
import { noneServes, type Refusal } from '../refusals.ts';
import { inspectExtension } from './inspect.ts';
import { localPath } from './plan.ts';
import { imagesFolder, writeRecords } from './records.ts';
import { extensionFromTarball } from './tarball.ts';
import { basename, join } from '../../model/path.ts';

/** Leaves a candidate record and says from where it is. Errors above. */
export async function fetchExtension(context: PerformContext, resource: ExtensionResource): Promise<void> {
  const refusals: Refusal[] = [];
  for (const source of resource.sources) {
    try {
      const file = await obtain(context, resource, source);
      const candidate = await check(context, resource, file);
      await writeRecords(context.host.files, 'candidate', [candidate]);
      context.detail(`${resource.name} from ${file}`);
      return;
    } catch (thrown) {
      const error = asNodekilnError(thrown);
      if (error.code === 'NK_INTERRUPTED') throw error;
      refusals.push({ source: source.type, error });
    }
  }
  const [only] = refusals;
  if (only && refusals.length === 1) throw only.error;
  throw noneServes(`extension ${resource.name} ${resource.version ?? ''}`.trim(), resource.id, refusals);
}

/** An image or folder on the host. */
async function obtain(context: PerformContext, resource: ExtensionResource, source: ExtensionSource): Promise<string> {
  if (source.type === 'local') return localExtension(context.host, resource, source.path);
  const kept = await keptImage(context, resource);
  if (kept !== undefined) return kept;
  const expected = resource.digest === undefined ? {} : { digest: resource.digest };
  const options = {
    transfer: resource.transfer,
    signal: context.signal,
    onProgress: (progress: Parameters<typeof progressText>[0]) => context.progress(progressText(progress), progress),
  };
  if (source.type === 'url') {
    const { path } = await context.downloads.fetch({ type: 'http', url: reveal(source.url), ...expected }, options);
    const label = resource.version === undefined ? 'fetched' : `v${resource.version.replace(/^v/, '')}`;
    return keep(context, path, `${resource.name}-${label}-${systemdArch(resource.architecture)}.raw`);
  }
  if (source.type === 'tarball') return extensionFromTarball(context, resource, { source, options });
  const { plainHttp, signature } = source;
  const address = { ...(plainHttp === true && { plainHttp }) };
  const tag = await chooseTag(context, resource, source);
  context.detail(`tag ${tag}`);
  const { path } = await context.downloads.fetch(
    {
      type: 'oci',
      reference: `${source.reference}:${tag}`,
      architecture: resource.architecture,
      ...address,
      ...expected,
    },
    { ...options, ...(signature && { signature }) },
  );
  return keep(context, path, `${resource.name}-${tag}.raw`);
}

/** The extension itself, or the right one of a folder. NK_ARTIFACT_MISSING, with what the folder holds instead. */
export async function localExtension(
  host: Pick<Host, 'files' | 'local' | 'archives'>,
  resource: ExtensionResource,
  path: string,
): Promise<string> {
  const { files } = host;
  const stat = await files.stat(path);
  if (stat?.type === 'file') return path;
  const names = await files.list(path);
  if (names.includes('usr')) return path;
  if (resource.version === undefined) {
    if (names.includes(`${resource.name}.raw`)) return join(path, `${resource.name}.raw`);
    throw new NodekilnError('NK_ARTIFACT_MISSING', `${path} holds no ${resource.name}.raw`, { resource: resource.id });
  }
  const { chosen, passedOver } = await matchDirectory(
    host,
    await files.realPath(path),
    request(resource, resource.version),
  );
  if (chosen) return join(path, chosen.file);
  throw new NodekilnError('NK_ARTIFACT_MISSING', `${path} holds no extension ${resource.name} ${resource.version}`, {
    resource: resource.id,
    lines: passedOver.map(({ file, why }) => `${file}: ${why}`),
  });
}

/** What an earlier run fetched serves a way back without a network; only a full version says which image that is. */
async function keptImage(context: PerformContext, resource: ExtensionResource): Promise<string | undefined> {
  const { version } = resource;
  const { files } = context.host;
  if (version === undefined || !/^v?\d+\.\d+\.\d+/.test(version)) return undefined;
  if ((await files.list(imagesFolder)).length === 0) return undefined;
  const { chosen } = await matchDirectory(context.host, await files.realPath(imagesFolder), request(resource, version));
  return chosen && join(imagesFolder, chosen.file);
}

function request(resource: ExtensionResource, version: string) {
  return { kind: 'sysext', component: resource.name, version, architecture: resource.architecture } as const;
}

/** The newest tag of the version; made from the configured revision where tags cannot be listed. */
async function chooseTag(
  context: PerformContext,
  resource: ExtensionResource,
  source: Extract<ExtensionSource, { type: 'registry' }>,
): Promise<string> {
  const { reference, plainHttp, revision } = source;
  const version = resource.version ?? '';
  const architecture = systemdArch(resource.architecture);
  const tags = await context.downloads
    .tags(
      { reference, ...(plainHttp === true && { plainHttp }) },
      { transfer: resource.transfer, signal: context.signal, onProgress: () => undefined },
    )
    .catch((thrown: unknown) => {
      const error = asNodekilnError(thrown);
      // A mirror that fetches on demand knows no repository before its first artifact was asked for.
      const unlisted = error.code === 'NK_TAGS_UNAVAILABLE' || error.code === 'NK_ARTIFACT_MISSING';
      if (revision === undefined || !unlisted) throw error;
      context.detail(`tags cannot be listed, the configured revision is used: ${error.message}`);
      return undefined;
    });
  if (!tags) return `v${version.replace(/^v/, '')}-${revision ?? ''}-${architecture}`;
  const { chosen, passedOver } = matchBuild(
    { ...request(resource, version), architecture },
    tags.map((tag) => tagCandidate(resource.name, tag)),
  );
  if (chosen) return chosen.file;
  throw new NodekilnError(
    'NK_ARTIFACT_MISSING',
    `no tag of ${reference} is ${resource.name} ${version} for ${architecture}`,
    {
      resource: resource.id,
      lines: passedOver.slice(0, 20).map(({ file, why }) => `${file} ${why}`),
    },
  );
}

async function keep(context: PerformContext, fetched: string, name: string): Promise<string> {
  const { files, local } = context.host;
  const target = join(imagesFolder, basename(name));
  await files.write([{ type: 'directory', path: imagesFolder, mode: 0o755, uid: 0, gid: 0 }]);
  // Downloads lie in our own file system, wherever the host's root is.
  await local.place(fetched, await files.realPath(target), { mode: 0o644, uid: 0, gid: 0 });
  return target;
}

async function check(context: PerformContext, resource: ExtensionResource, file: string): Promise<ExtensionRecord> {
  const { host } = context;
  const stat = await host.files.stat(file);
  if (stat?.type === 'file') {
    const wanted = resource.digest ?? context.lockedDigests.get(resource.id);
    const digest = wanted === undefined ? undefined : await host.files.digest(file);
    if (digest !== wanted)
      throw new NodekilnError('NK_ARTIFACT_DIGEST', `${file} has the digest ${digest ?? ''}, not ${wanted ?? ''}`, {
        resource: resource.id,
      });
  }
  const { masks } = await inspectExtension(host, {
    file,
    name: resource.name,
    architecture: systemdArch(resource.architecture),
    tools: resource.tools,
    ...(context.signal && { signal: context.signal }),
  });
  const path = localPath(resource);
  return {
    name: resource.name,
    ...(resource.version !== undefined && { version: resource.version }),
    ...(path !== undefined && { path }),
    ...(resource.digest !== undefined && { digest: resource.digest }),
    file,
    link: `/etc/extensions/${resource.name}${stat?.type === 'file' ? '.raw' : ''}`,
    size: stat?.size ?? 0,
    mtimeNs: String(stat?.mtimeNs ?? 0),
    masks,
    tools: resource.tools,
    settled: false,
  };
}
