/** A file that is there already: beside the manifest, or in a folder of the host. Read once for its digest. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { NodekilnError, errnoOf } from '../../errors.ts';
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from './source.ts';

export const fileSource: ArtifactSource<'file'> = { type: 'file', fetch: fetchFile };

async function fetchFile(spec: Extract<SourceSpec, { type: 'file' }>, context: FetchContext): Promise<Fetched> {
  const path = resolve(context.base, spec.path);
  const found = await stat(path).catch((thrown: unknown) => {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  });
  if (!found) throw new NodekilnError('NK_ARTIFACT_MISSING', `${path} does not exist`, { resource: path });
  if (!found.isFile())
    throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} is no regular file`, { resource: path });
  if (spec.size !== undefined && spec.size !== found.size) {
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${path} has ${found.size} bytes, not ${spec.size}`, {
      resource: path,
    });
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, {
    highWaterMark: 1024 * 1024,
    ...(context.signal && { signal: context.signal }),
  })) {
    hash.update(chunk as Buffer);
  }
  const digest = `sha256:${hash.digest('hex')}`;
  if (spec.digest !== undefined && spec.digest !== digest) {
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${path} has the digest ${digest}, not ${spec.digest}`, {
      resource: path,
    });
  }
  return { path, digest, size: found.size, location: path, temporary: false };
}
