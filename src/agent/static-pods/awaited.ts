/**
 * Static pods that kubelet may not run yet as documents say, kept in the journal from before their manifests are written: an
 * agent that starts anew goes on waiting, and the time that a pod has counts from its manifest.
 */
import type { Journal } from '../../apply/journal.ts';
import type { Prepared } from '../../apply/reconcile.ts';
import { kubeletConfigPath, staticPodFolder } from '../../config/defaults.ts';
import { parseText } from '../../config/load.ts';
import { isMap, valueAt } from '../../config/paths.ts';
import { readHostName } from '../../host/facts.ts';
import type { Host } from '../../host/port.ts';
import { fromBase64, textOf } from '../../model/bytes.ts';
import { basename, dirname } from '../../model/path.ts';
import { reveal, type Resource } from '../../model/resources.ts';
import type { Change } from '../../model/steps.ts';
import { inThisStart, momentNow, type Moment, type Uptime } from '../since.ts';
import { staticPodIn, type StaticPod } from './manifest.ts';
import { containersOf } from './running.ts';

export interface AwaitedPod {
  readonly path: string;
  readonly namespace: string;
  /** As the manifest has it. */
  readonly podName: string;
  /** With the name of the node. */
  readonly name: string;
  readonly containers: readonly string[];
  /** Containers of the manifest before: that they run says nothing. */
  readonly before: readonly string[];
  /** Its manifest goes: none of its containers is to run. */
  readonly isGone: boolean;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** The same on the monotonic clock, which its time is counted by. */
  readonly sinceUptime?: Uptime;
}

/** Where they are looked at. */
export interface PodHost {
  readonly host: Host;
  /** That of its Node; else the host's own is asked for. */
  readonly nodeName: string | undefined;
  readonly signal: AbortSignal;
}

const noteKey = 'static pods';
/** Of the settings of kubelet: ours, and those of an OperatingSystemConfig. */
const settingsPaths = [kubeletConfigPath, '/var/lib/kubelet/config/kubelet'];

export function awaitedPods(journal: Pick<Journal, 'note'>): readonly AwaitedPod[] {
  return (journal.note(noteKey, isPods) as readonly AwaitedPod[] | undefined) ?? [];
}

function isPods(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((each) => isMap(each) && typeof each['path'] === 'string' && Array.isArray(each['containers']))
  );
}

/** They run: nothing is waited for any more. */
export function forgetPods(journal: Pick<Journal, 'note' | 'setNote'>): void {
  if (awaitedPods(journal).length > 0) journal.setNote(noteKey, []);
}

/** Before anything is written: what runs now, of pods that are about to change. Nobody runs them where there is no kubelet. */
export async function noteStaticPods(
  on: PodHost,
  journal: Pick<Journal, 'note' | 'setNote' | 'flush'>,
  { plan, effective }: Prepared,
): Promise<void> {
  const before = awaitedPods(journal);
  const kubelet = effective.get('unit:kubelet.service')?.resource;
  const isRun = kubelet?.kind === 'unit' && kubelet.state === 'started';
  const moment = await momentNow(on.host);
  const still = before
    .filter(({ path, isGone }) => isRun && (isGone || effective.has(`file:${path}`)))
    .map((pod) => ({ ...pod, ...since(inThisStart({ atMs: pod.sinceMs, uptime: pod.sinceUptime }, moment)) }));
  const now = new Map(still.map((pod) => [keyOf(pod), pod]));
  if (isRun && plan.changes.some(changesContent)) {
    const folder = await podFolder(effective);
    for (const change of plan.changes.filter((one) => changesContent(one) && isManifest(one, folder)))
      for (const pod of await awaitedOf(on, change, { awaited: before, moment })) now.set(keyOf(pod), pod);
  }
  if (before.length === 0 && now.size === 0) return;
  journal.setNote(noteKey, [...now.values()]);
  journal.flush();
}

function since({ atMs, uptime }: Moment): Pick<AwaitedPod, 'sinceMs' | 'sinceUptime'> {
  return { sinceMs: atMs, sinceUptime: uptime };
}

function keyOf({ namespace, name }: Pick<AwaitedPod, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function changesContent({ id, type, facets }: Change): boolean {
  return id.startsWith('file:') && (type !== 'update' || facets.includes('content'));
}

/** kubelet reads no hidden files. */
function isManifest({ id }: Change, folder: string): boolean {
  const path = id.slice('file:'.length);
  return dirname(path) === folder && !basename(path).startsWith('.');
}

async function podFolder(effective: Prepared['effective']): Promise<string> {
  for (const path of settingsPaths) {
    const text = contentOf(effective.get(`file:${path}`)?.resource);
    const parsed = text === undefined ? undefined : await parseText({ file: path, text }).catch(() => undefined);
    const folder = valueAt(parsed?.value, ['staticPodPath']);
    if (typeof folder === 'string' && folder !== '') return folder.replace(/\/+$/, '');
  }
  return staticPodFolder;
}

/** None where the manifest says what it said before, in other words at most. */
async function awaitedOf(
  on: PodHost,
  { id, desired }: Change,
  { awaited, moment }: { readonly awaited: readonly AwaitedPod[]; readonly moment: Moment },
): Promise<readonly AwaitedPod[]> {
  const path = id.slice('file:'.length);
  const [old, pod] = [await podAt(on.host, path), await staticPodIn(contentOf(desired) ?? '')];
  if (old?.content === pod?.content) return [];
  const nodeName = on.nodeName ?? (await readHostName(on.host)).toLowerCase();
  const about = ({ namespace, name, containers }: StaticPod) => ({
    path,
    namespace,
    podName: name,
    name: `${name}-${nodeName}`,
    containers,
    ...since(moment),
  });
  const pods: AwaitedPod[] = [];
  if (old && (old.name !== pod?.name || old.namespace !== pod.namespace))
    pods.push({ ...about(old), before: [], isGone: true });
  if (!pod) return pods;
  const wanted = about(pod);
  const earlier = awaited.find((one) => keyOf(one) === keyOf(wanted))?.before ?? [];
  // kubelet leaves containers that do not change in a pod that keeps its identity.
  const ids = old?.hasUid === true && pod.hasUid ? [] : await idsNow(on, wanted);
  return [...pods, { ...wanted, before: [...new Set([...earlier, ...ids])], isGone: false }];
}

/** As its manifest on the host says. */
export async function podAt({ files }: Pick<Host, 'files'>, path: string): Promise<StaticPod | undefined> {
  return staticPodIn(textOf(await files.read(path).catch(() => undefined)) ?? '');
}

function contentOf(resource: Resource | undefined): string | undefined {
  if (resource?.kind !== 'file' || resource.entry.type !== 'file' || 'image' in resource.entry.content)
    return undefined;
  const { content } = resource.entry;
  return 'text' in content ? reveal(content.text) : textOf(fromBase64(reveal(content.base64)));
}

/** None where containerd does not answer: then nothing runs. */
async function idsNow(
  { host: { exec }, signal }: PodHost,
  pod: Pick<AwaitedPod, 'namespace' | 'name' | 'containers'>,
): Promise<string[]> {
  try {
    return (await containersOf(exec, pod, { containers: pod.containers, signal })).map(({ id }) => id);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return [];
  }
}
