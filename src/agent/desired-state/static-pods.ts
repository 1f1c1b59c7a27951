/**
 * Static pods whose manifests a run changed: documents are applied once kubelet runs what they say. What is waited for is kept
 * in the journal, so that an agent that starts anew goes on waiting, and the time that a pod has counts from its manifest.
 */
import type { Journal } from '../../apply/journal.ts';
import type { Prepared } from '../../apply/reconcile.ts';
import { staticPodFolder } from '../../config/defaults.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { readHostName } from '../../host/facts.ts';
import { fromBase64, textOf } from '../../model/bytes.ts';
import { basename, dirname } from '../../model/path.ts';
import { reveal, type FileResource } from '../../model/resources.ts';
import type { Change } from '../../model/steps.ts';
import { staticPodIn, type StaticPod } from '../static-pods/manifest.ts';
import { containersOf, type PodContainer } from '../static-pods/running.ts';
import { readAll } from './reading.ts';
import type { Run } from './run.ts';

/** Images may have to be pulled. */
const patienceMs = 5 * 60_000;
const lookMs = 2000;
/** What corrects a manifest does not wait until the wrong one has had its time. */
const looksPerReading = 5;

/** A pod that kubelet may not run yet as its manifest says. */
export interface AwaitedPod {
  readonly path: string;
  readonly namespace: string;
  /** With the name of the node. */
  readonly name: string;
  readonly containers: readonly string[];
  /** Containers of the manifest before: that they run says nothing. */
  readonly before: readonly string[];
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

const noteKey = 'static pods';

function awaitedPods(journal: Pick<Journal, 'note'>): readonly AwaitedPod[] {
  // Only an agent writes it.
  return (journal.note(noteKey) as readonly AwaitedPod[] | undefined) ?? [];
}

/** Before anything is written: what runs now, of pods that are about to change. Nobody runs them where there is no kubelet. */
export async function noteStaticPods(run: Run, journal: Journal, { plan, effective }: Prepared): Promise<void> {
  const before = awaitedPods(journal);
  const kubelet = effective.get('unit:kubelet.service')?.resource;
  const changes = plan.changes.filter(isManifest);
  const isRun = kubelet?.kind === 'unit' && kubelet.state === 'started';
  const claimed = before.filter(({ path }) => isRun && effective.has(`file:${path}`));
  const now = new Map(claimed.map((pod) => [pod.path, pod]));
  if (isRun)
    for (const change of changes) {
      const pod = await awaitedOf(run, change, before);
      if (pod) now.set(pod.path, pod);
    }
  if (before.length === 0 && now.size === 0) return;
  journal.setNote(noteKey, [...now.values()]);
  journal.flush();
}

function isManifest({ id, type, facets }: Change): boolean {
  const path = id.slice('file:'.length);
  // kubelet reads no hidden files.
  const isRead = id.startsWith('file:') && dirname(path) === staticPodFolder && !basename(path).startsWith('.');
  return isRead && type !== 'remove' && (type === 'create' || facets.includes('content'));
}

/** Undefined where the manifest says what it said before, in other words at most. */
async function awaitedOf(
  { host, cluster, turn }: Run,
  { desired }: Change,
  awaited: readonly AwaitedPod[],
): Promise<AwaitedPod | undefined> {
  const text = desired?.kind === 'file' ? contentOf(desired) : undefined;
  const pod = text === undefined ? undefined : await staticPodIn(text);
  if (desired?.kind !== 'file' || !pod) return undefined;
  const { path } = desired;
  const old = await staticPodIn(textOf(await host.files.read(path).catch(() => undefined)) ?? '');
  if (old?.content === pod.content) return undefined;
  const nodeName = cluster?.nodeName ?? (await readHostName(host)).toLowerCase();
  const { namespace, containers } = pod;
  const name = `${pod.name}-${nodeName}`;
  const earlier = awaited.find((one) => one.path === path)?.before ?? [];
  const ids = isMadeAnew(old, pod) ? await idsNow(host, { namespace, name }, { containers, signal: turn.signal }) : [];
  return { path, namespace, name, containers, before: [...new Set([...earlier, ...ids])], sinceMs: host.clock.now() };
}

/** Whether kubelet makes all containers anew for the change. */
function isMadeAnew(old: StaticPod | undefined, pod: StaticPod): boolean {
  return !(old?.hasUid === true && pod.hasUid);
}

function contentOf({ entry }: FileResource): string | undefined {
  if (entry.type !== 'file' || 'image' in entry.content) return undefined;
  const { content } = entry;
  return 'text' in content ? reveal(content.text) : textOf(fromBase64(reveal(content.base64)));
}

/** None where containerd does not answer: then nothing runs. */
async function idsNow(
  { exec }: Run['host'],
  pod: Pick<AwaitedPod, 'namespace' | 'name'>,
  options: { readonly containers: readonly string[]; readonly signal: AbortSignal },
): Promise<string[]> {
  try {
    return (await containersOf(exec, pod, options)).map(({ id }) => id);
  } catch (thrown) {
    if (options.signal.aborted) throw thrown;
    return [];
  }
}

/** What a run that is through with its work has to wait for. */
export function podsToAwait({ kept, read }: Run, journal: Pick<Journal, 'note'>): readonly AwaitedPod[] {
  return kept || !read || read.error ? [] : awaitedPods(journal);
}

/**
 * Resolves once all run, each seen so twice, or once the documents say something else (`superseded`). NK_STATIC_POD, with each
 * that does not run, when one has had its time; it is looked at once all the same.
 */
export async function awaitPods(
  run: Run,
  pods: readonly AwaitedPod[],
): Promise<NodekilnError | 'superseded' | undefined> {
  const { host, read } = run;
  const { signal } = run.turn;
  let seen: string | undefined;
  for (let looked = 1; ; looked++) {
    const looks = await Promise.all(pods.map((pod) => look(host, pod, signal)));
    const lacking = looks.flatMap(({ why }) => why ?? []);
    const ids = lacking.length === 0 ? looks.map((one) => one.ids).join(' ') : undefined;
    if (ids !== undefined && ids === seen) return undefined;
    seen = ids;
    const waitedMs = (index: number): number => Math.abs(host.clock.now() - (pods[index]?.sinceMs ?? 0));
    if (looks.some(({ why }, index) => why !== undefined && waitedMs(index) >= patienceMs)) {
      run.unrun = pods.flatMap(({ path }, index) => (looks[index]?.why === undefined ? [] : [path]));
      return new NodekilnError('NK_STATIC_POD', `kubelet does not run ${lacking.join('; nor ')}`);
    }
    await host.clock.sleep(lookMs, signal);
    if (looked % looksPerReading === 0 && (await readAll(run, signal)).key !== read?.key) return 'superseded';
  }
}

interface Look {
  /** Of the containers that were found. */
  readonly ids: string;
  /** What is missing. */
  readonly why?: string;
}

async function look({ exec }: Run['host'], pod: AwaitedPod, signal: AbortSignal): Promise<Look> {
  const { path, namespace, name, containers, before } = pod;
  let found: readonly PodContainer[];
  try {
    found = await containersOf(exec, pod, { containers, signal });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { ids: '', why: `${namespace}/${name} as ${path} says (${asNodekilnError(thrown).message})` };
  }
  const fresh = found.filter(({ id, isRunning }) => isRunning && !before.includes(id));
  const missing = containers.filter((one) => !fresh.some(({ container }) => container === one));
  if (missing.length === 0) return { ids: fresh.map(({ id }) => id).join(' ') };
  const isOld = found.some(({ id, isRunning }) => isRunning && before.includes(id));
  const state = isOld ? 'the pod of before still runs' : `without ${missing.join(', ')}`;
  return { ids: '', why: `${namespace}/${name} as ${path} says (${state})` };
}

/** They run: nothing is waited for any more. */
export function forgetPods(journal: Journal): void {
  if (awaitedPods(journal).length > 0) journal.setNote(noteKey, []);
}
