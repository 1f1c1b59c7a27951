/** Metrics of the last boot, from the result that it published: when it passed its milestones, and what came of it. */
import type { Files } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import { bootResultPath } from '../model/state-paths.ts';
import type { Metrics } from './metrics.ts';
import { milestoneNames, type BootResult } from './result.ts';

const mostBytes = 16 * 1024 * 1024;

/** Once: a boot is over before an agent begins. Nothing where there is no result, or none that can be read. */
export async function measureBoot(files: Pick<Files, 'read'>, metrics: Metrics): Promise<void> {
  const result = await readResult(files);
  if (!result) return;
  const passed = metrics.gauge({
    name: 'nodekiln_boot_milestone_seconds',
    help: 'When the last boot passed its milestones, seconds of CLOCK_MONOTONIC.',
  });
  for (const { name, atMs } of result.milestones ?? [])
    if (milestoneNames.some((known) => known === name) && typeof atMs === 'number')
      passed.set(atMs / 1000, { milestone: name });
  if (['converged', 'degraded', 'failed'].includes(result.outcome ?? ''))
    metrics
      .gauge({ name: 'nodekiln_boot_outcome', help: 'What came of the last boot: 1 for the outcome it had.' })
      .set(1, { outcome: result.outcome ?? '' });
}

async function readResult(files: Pick<Files, 'read'>): Promise<Partial<BootResult> | undefined> {
  try {
    const text = textOf(await files.read(bootResultPath, { maxBytes: mostBytes }));
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
