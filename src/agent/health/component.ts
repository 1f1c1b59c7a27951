/**
 * When a component that does not answer is restarted: after it has failed for a minute, not more often within an hour than it
 * may, and never while it starts. Times are milliseconds of a monotonic clock. Pure.
 */

export interface ComponentRules {
  /** It is restarted when it has failed for so long. */
  readonly restartAfterMs: number;
  /** Within an hour. */
  readonly maxRestarts: number;
}

/** What is remembered between two looks. */
export interface ComponentState {
  /** Since when it has failed without a break. */
  readonly failingSinceMs?: number;
  /** Of the last hour. */
  readonly restartsMs: readonly number[];
  /** That it is not restarted any more was said. */
  readonly gaveUp: boolean;
}

export interface Look {
  readonly nowMs: number;
  /** Why it is not healthy; undefined when it is. */
  readonly failure: string | undefined;
  /** Somebody starts or stops it on purpose: what it answers says nothing. */
  readonly inTransition: boolean;
}

/** What has changed, for whoever is told. */
export type ComponentNews = 'failing' | 'recovered' | 'restart' | 'gave-up' | undefined;

export interface ComponentJudgement {
  readonly state: ComponentState;
  readonly news: ComponentNews;
}

export const healthyComponent: ComponentState = { restartsMs: [], gaveUp: false };

const hourMs = 3_600_000;

export function judgeComponent(before: ComponentState, look: Look, rules: ComponentRules): ComponentJudgement {
  const { nowMs, failure, inTransition } = look;
  const restartsMs = before.restartsMs.filter((atMs) => nowMs - atMs < hourMs);
  if (inTransition) return { state: { restartsMs, gaveUp: before.gaveUp }, news: undefined };
  if (failure === undefined)
    return {
      state: { restartsMs, gaveUp: false },
      news: before.failingSinceMs === undefined ? undefined : 'recovered',
    };
  const failingSinceMs = before.failingSinceMs ?? nowMs;
  const failing = { failingSinceMs, restartsMs, gaveUp: before.gaveUp };
  if (before.failingSinceMs === undefined) return { state: failing, news: 'failing' };
  if (nowMs - failingSinceMs < rules.restartAfterMs) return { state: failing, news: undefined };
  if (restartsMs.length >= rules.maxRestarts)
    return { state: { ...failing, gaveUp: true }, news: before.gaveUp ? undefined : 'gave-up' };
  // It has as long again to come up.
  return { state: { restartsMs: [...restartsMs, nowMs], gaveUp: false }, news: 'restart' };
}
