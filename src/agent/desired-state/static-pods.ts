/** A run whose manifests of static pods have changed is through once kubelet runs what they say. */
import type { Journal } from '../../apply/journal.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { awaitedPods, podAt, type AwaitedPod } from '../static-pods/awaited.ts';
import { containersOf, type PodContainer } from '../static-pods/running.ts';
import { readAll } from './reading.ts';
import type { Run } from './run.ts';

/** Images may have to be pulled. */
const patienceMs = 5 * 60_000;
const lookMs = 2000;
/** What corrects a manifest does not wait until the wrong one has had its time. */
const looksPerReading = 5;

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
    const waitedMs = (index: number): number => host.clock.monotonic() - (pods[index]?.sinceUptime?.ms ?? 0);
    if (looks.some(({ why }, index) => why !== undefined && waitedMs(index) >= patienceMs)) {
      run.unrun = pods.flatMap(({ path }, index) => (looks[index]?.why === undefined ? [] : [path]));
      return new NodekilnError('NK_STATIC_POD', `kubelet does not run what its manifests say: ${lacking.join('; ')}`);
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

async function look({ exec, files }: Run['host'], pod: AwaitedPod, signal: AbortSignal): Promise<Look> {
  const { path, namespace, podName, name, containers, before, isGone } = pod;
  let found: readonly PodContainer[];
  try {
    found = await containersOf(exec, pod, { containers, signal });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { ids: '', why: `${namespace}/${name} is not as ${path} says (${asNodekilnError(thrown).message})` };
  }
  const running = found.filter(({ isRunning }) => isRunning);
  if (isGone) {
    if (running.length === 0) return { ids: '' };
    // What was there before ours may be back, and be such a pod.
    const back = await podAt({ files }, path);
    if (back?.name === podName && back.namespace === namespace) return { ids: '' };
    return { ids: '', why: `${namespace}/${name} still runs, and ${path} no longer says so` };
  }
  const fresh = running.filter(({ id }) => !before.includes(id));
  const missing = containers.filter((one) => !fresh.some(({ container }) => container === one));
  if (missing.length === 0) return { ids: fresh.map(({ id }) => id).join(' ') };
  const state = running.length > fresh.length ? 'the pod of before still runs' : `without ${missing.join(', ')}`;
  return { ids: '', why: `${namespace}/${name} is not as ${path} says (${state})` };
}
