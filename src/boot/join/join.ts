/**
 * Looks after a node that joins its cluster, beside kubelet's start and never before it: how far it came and when, and, when
 * it does not come as far as it should, what stands in the way. It only looks; kubelet goes on by itself.
 */
import type { Join } from '../../desired/join.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import { nodeCertificatePath } from '../../model/facts.ts';
import type { Milestone } from '../../telemetry/result.ts';
import { createLooker, type Sight } from './look.ts';
import { isSilence } from './obstacles.ts';
import { lackingRemarks } from './registration.ts';

/** How a node that joined stands, or one that did not. */
export interface Joined {
  readonly reached: 'credential' | 'registered' | 'ready' | undefined;
  readonly milestones: readonly Milestone[];
  /** Present when the goal was not reached. */
  readonly obstacle?: NodekilnError;
  readonly warnings: readonly string[];
}

export interface JoinOptions {
  /** When kubelet was started, CLOCK_MONOTONIC milliseconds. */
  readonly startedMs: number;
  /** Ends the waiting: the boot's budget, or whoever wants it to stop. */
  readonly signal: AbortSignal;
  /** Whether this boot has changed what kubelet says of the node when it registers. */
  readonly isRegistrationNew?: () => boolean;
  /** Called when an obstacle of another kind than the last is seen. */
  readonly onObstacle?: (obstacle: NodekilnError) => void;
}

const order = ['credential', 'registered', 'ready'] as const;
type Stage = (typeof order)[number];

/** Between looks: short at first, since a good join takes a second or two, and while what may be seen lasts no longer. */
const quickLookMs = 100;
const lookMs = 500;
const quickForMs = 5_000;
/**
 * A Node that was there before this machine's kubelet may be another's, whose kubelet corrects it within ten seconds
 * (nodeStatusUpdateFrequency).
 */
const correctionMs = 12_000;
/** For so long an obstacle that was answered stays the cause while the server is silent: three answers that did not come in time. */
const silenceMs = 10_000;

/** Resolves when the goal is reached, when something known stands in the way for too long, or when the signal fires. */
export async function followJoin(host: Host, join: Join, options: JoinOptions): Promise<Joined> {
  const { clock } = host;
  const { startedMs, signal } = options;
  const looker = createLooker(host, join, signal);
  const course = startCourse(host, join, options);
  for (;;) {
    const sight = await looker.look().catch((thrown: unknown) => {
      if (!signal.aborted) throw thrown;
    });
    if (sight) await course.note(sight, options.onObstacle);
    const sinceStart = clock.monotonic() - startedMs;
    if (course.done(sinceStart)) return course.joined(undefined);
    const obstacle = course.obstacle();
    if (obstacle && sinceStart >= join.deadlineMs && !course.inDoubt(sinceStart)) return course.joined(obstacle);
    if (signal.aborted) return course.joined(stopped(signal) ?? obstacle ?? unreached(join, course));
    const quick = sinceStart < quickForMs || course.inDoubt(sinceStart);
    await clock.sleep(quick ? quickLookMs : lookMs, signal).catch(() => undefined);
  }
}

interface Course {
  note(sight: Sight, onObstacle: JoinOptions['onObstacle']): Promise<void>;
  /** The goal is reached and nothing speaks against it. */
  done(sinceStartMs: number): boolean;
  /** The Node was there before, and the machine whose it is may be about to say so. */
  inDoubt(sinceStartMs: number): boolean;
  obstacle(): NodekilnError | undefined;
  joined(obstacle: NodekilnError | undefined): Joined;
  has(stage: Stage): boolean;
}

/** What was seen so far. */
function startCourse(host: Host, join: Join, { startedMs, isRegistrationNew }: JoinOptions): Course {
  const passed = new Map<Stage, number>();
  const startedAt = host.clock.now() - (host.clock.monotonic() - startedMs);
  let last: Sight | undefined;
  let said = '';
  let older = false;
  /** Two kubelets write one Node in turns: who looks in between sees now the one, now the other. */
  let taken: { readonly obstacle: NodekilnError; readonly atMs: number } | undefined;
  /** The last look that was answered, though it were by a refusal. */
  let answered: { readonly obstacle: NodekilnError | undefined; readonly atMs: number } | undefined;
  const pass = (stage: Stage, atMs: number): void => {
    if (!passed.has(stage)) passed.set(stage, atMs);
  };
  const lacking = (): readonly string[] => {
    const { node } = last ?? {};
    if (node?.ours !== true || node.isKept || (node.hasAgent && !older)) return [];
    // Some taints are to be taken away by whoever makes the node ready for pods.
    const taints = older && isRegistrationNew?.() === true ? node.lacking.taints : [];
    return lackingRemarks(join.nodeName, { ...node.lacking, taints });
  };
  const course: Course = {
    async note(sight, onObstacle) {
      if (sight.credential && !passed.has('credential')) pass('credential', await credentialMs(host, startedMs));
      if (sight.node?.ours === true && !sight.obstacle) {
        // The API server's times are whole seconds.
        if (!passed.has('registered')) older = sight.node.createdAt < startedAt - 1000;
        pass('registered', host.clock.monotonic());
        if (sight.node.ready) pass('ready', host.clock.monotonic());
      }
      const atMs = host.clock.monotonic();
      if (sight.obstacle?.code === 'NK_CLUSTER_NAME_TAKEN') taken = { obstacle: sight.obstacle, atMs };
      else if (taken && atMs - taken.atMs >= correctionMs) taken = undefined;
      if (!sight.obstacle || !isSilence(sight.obstacle)) answered = { obstacle: sight.obstacle, atMs };
      else if (answered && atMs - answered.atMs >= silenceMs) answered = undefined;
      last = sight;
      const obstacle = course.obstacle();
      if (!obstacle || obstacle.code === said) return;
      said = obstacle.code;
      onObstacle?.(obstacle);
    },
    done(sinceStartMs) {
      if (join.goal === 'healthz') return true;
      if (course.obstacle() || !passed.has(join.goal)) return false;
      if (join.goal === 'ready' && last?.node?.ready !== true) return false;
      return !course.inDoubt(sinceStartMs);
    },
    inDoubt: (sinceStartMs) =>
      older &&
      !taken &&
      last?.obstacle === undefined &&
      last?.node?.ours === true &&
      !hadCertificate(passed, startedMs) &&
      sinceStartMs < correctionMs,
    obstacle() {
      const silent = last?.obstacle !== undefined && isSilence(last.obstacle);
      const known = taken?.obstacle ?? (silent ? answered?.obstacle : undefined) ?? last?.obstacle;
      if (known) return known;
      if (join.goal !== 'ready' || last?.node?.ours !== true || last.node.ready) return undefined;
      return join.needsPodCidr && !last.node.hasPodCidr ? withoutPodCidr(join) : notReady(join, last.node.why);
    },
    joined: (obstacle) => ({
      reached: order.findLast((stage) => passed.has(stage)),
      milestones: order.flatMap((name) => {
        const atMs = passed.get(name);
        return atMs === undefined ? [] : [{ name, atMs }];
      }),
      ...(obstacle && { obstacle }),
      warnings: [...(last?.remarks ?? []), ...lacking()],
    }),
    has: (stage) => passed.has(stage),
  };
  return course;
}

/** The machine had its certificate before this start: its Node is older for a good reason. */
function hadCertificate(passed: ReadonlyMap<Stage, number>, startedMs: number): boolean {
  return (passed.get('credential') ?? Infinity) <= startedMs;
}

/** When the certificate came, by the time of its file; kubelet's start when it was there before. */
async function credentialMs({ clock, files }: Host, startedMs: number): Promise<number> {
  const now = clock.monotonic();
  const stat = await files.stat(nodeCertificatePath).catch(() => undefined);
  if (!stat) return now;
  const ageMs = clock.now() - Number(stat.mtimeNs / 1000n) / 1000;
  return Math.min(now, Math.max(startedMs, now - ageMs));
}

/** Undefined when it was the budget that ended the waiting. */
function stopped({ reason }: AbortSignal): NodekilnError | undefined {
  if (reason instanceof NodekilnError && reason.code === 'NK_TIMEOUT') return undefined;
  return new NodekilnError('NK_INTERRUPTED', 'stopped while the node was joining its cluster');
}

function notReady({ nodeName }: Join, why: string): NodekilnError {
  return new NodekilnError('NK_CLUSTER_NOT_READY', `the Node ${nodeName} is not Ready${why === '' ? '' : `: ${why}`}`);
}

/** kubelet's own words are that there is no network, and not why. */
function withoutPodCidr({ nodeName }: Join): NodekilnError {
  return new NodekilnError(
    'NK_CLUSTER_NOT_READY',
    `the Node ${nodeName} is not Ready: the cluster has given it no podCIDR, which the bridge of its pods waits for`,
    {
      hint: 'Let kube-controller-manager give Nodes theirs (--allocate-node-cidrs, --cluster-cidr), or give network.cni.subnet.',
    },
  );
}

function unreached(join: Join, course: Course): NodekilnError {
  const { nodeName } = join;
  if (course.has('registered')) return notReady(join, '');
  if (course.has('credential'))
    return new NodekilnError(
      'NK_CLUSTER_NOT_REGISTERED',
      `kubelet has its certificate, but there is no Node ${nodeName}`,
    );
  return new NodekilnError(
    'NK_CLUSTER_NOT_REGISTERED',
    `kubelet has asked for no certificate for the Node ${nodeName}`,
  );
}

/** What a joining that could not even be looked after comes to. */
export function unfollowed(thrown: unknown): Joined {
  return { reached: undefined, milestones: [], obstacle: asNodekilnError(thrown), warnings: [] };
}
