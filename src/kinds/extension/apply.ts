/** Observation of `extension` resources, and the step that gets and checks one. Nothing in force changes here. */
import type { ExtensionResource } from '../../model/resources.ts';
import type { Files } from '../../host/port.ts';
import type { ExtensionObservation, ExtensionRecord } from '../../model/steps.ts';
import type { ObserveContext, PerformContext } from '../performer.ts';
import { readRecord } from './records.ts';
import { textOf } from '../../model/bytes.ts';

/** What is on record of an extension, and what of it no longer holds. */
export async function observeExtension(context: ObserveContext, name: string): Promise<ExtensionObservation> {
  const { files, units } = context.host;
  const live = units.mode === 'live';
  const record = await readRecord(files, name, 'record');
  return { kind: 'extension', live, record, deviations: record ? await deviationsOf(files, record, live) : [] };
}

/** systemd keeps the names of what it merged in the hierarchy itself. */
export async function mergedNames(files: Files): Promise<string[]> {
  const names = await files.read('/usr/.systemd-sysext/extensions');
  return textOf(names)?.split('\n').filter(Boolean) ?? [];
}

async function deviationsOf(files: Files, record: ExtensionRecord, live: boolean): Promise<string[]> {
  const found: string[] = [];
  const [link, file, merged] = await Promise.all([
    files.stat(record.link),
    files.stat(record.file),
    mergedNames(files),
  ]);
  if (link?.target !== record.file) found.push(`${record.link} does not lead to ${record.file}`);
  if (!file) found.push(`${record.file} is gone`);
  else if (file.type === 'file' && (file.size !== record.size || String(file.mtimeNs) !== record.mtimeNs))
    found.push(`${record.file} was changed`);
  if (live && !merged.includes(record.name)) found.push('is not merged');
  for (const tool of record.tools) {
    const there = await files.stat(`/opt/bin/${tool}`);
    if (there?.target !== `/usr/bin/${tool}`) found.push(`/opt/bin/${tool} does not lead to /usr/bin/${tool}`);
  }
  for (const mask of record.masks) if (!(await files.stat(mask))) found.push(`${mask} is gone`);
  return found;
}

/** Fetches and checks one extension; the merge takes up what comes of it. */
export async function performFetchExtension(context: PerformContext, resource: ExtensionResource): Promise<void> {
  // Loaded only where there are extensions.
  const { fetchExtension } = await import('./fetch.ts');
  await fetchExtension(context, resource);
}
