/**
 * Static pods among the files of an OperatingSystemConfig: kubelet passes over what is none without a word, so it is said
 * here. Pure.
 */
import { staticPodFolder } from '../../../config/defaults.ts';
import { parseText } from '../../../config/load.ts';
import { isMap, valueAt } from '../../../config/paths.ts';
import type { Issue } from '../../../config/problems.ts';
import { fromBase64, textOf } from '../../../model/bytes.ts';
import { basename, dirname } from '../../../model/path.ts';
import { allFiles } from './merge.ts';
import type { OperatingSystemConfig, OscFile } from './schema.ts';

/** Manifests in kubelet's folder that are no Pods, as the schema would report them. */
export async function brokenStaticPods(document: OperatingSystemConfig): Promise<Issue[]> {
  const issues: Issue[] = [];
  for (const { path, item } of allFiles(document)) {
    // kubelet reads no hidden files.
    if (dirname(item.path) !== staticPodFolder || basename(item.path).startsWith('.')) continue;
    const message = await whyNoPod(item);
    if (message !== undefined) issues.push({ code: 'custom', path: [...path, 'content'], message });
  }
  return issues;
}

async function whyNoPod({ content: { inline } }: OscFile): Promise<string | undefined> {
  if (!inline) return undefined;
  const text = inline.encoding === 'b64' ? textOf(fromBase64(inline.data)) : inline.data;
  const parsed = await parseText({ file: 'manifest', text }).catch(() => undefined);
  if (!parsed) return 'is the manifest of a static pod, and no well-formed YAML or JSON';
  const { value } = parsed;
  const isPod = isMap(value) && value['kind'] === 'Pod' && value['apiVersion'] === 'v1';
  if (!isPod) return 'is the manifest of a static pod, and no Pod of v1';
  return typeof valueAt(value, ['metadata', 'name']) === 'string' ? undefined : 'is a Pod without metadata.name';
}
