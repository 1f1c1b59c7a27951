/** Jobs of a systemd in memory, and what they take along: requirements, wants, dependents, order. */
import { NodekilnError } from '../../../errors.ts';
import type { JobResult } from '../../port.ts';
import { parseUnitName } from '../../unit-files/names.ts';
import { activate, deactivate } from './lifecycle.ts';
import { load, related, type Job, type Manager, type Unit } from './unit.ts';

function queue(unit: Unit, type: Job['type']): Job {
  // What is under way already does what is asked for: a restart starts, too (job_type_is_superset in systemd's job.c).
  if (unit.job && (unit.job.type === type || unit.job.type === 'restart')) return unit.job;
  unit.job?.settle('canceled');
  const { promise, resolve } = Promise.withResolvers<JobResult>();
  const job: Job = {
    type,
    result: promise,
    settle: (result) => {
      if (unit.job === job) unit.job = undefined;
      resolve(result);
    },
  };
  unit.job = job;
  return job;
}

function startable(unit: Unit): void {
  const place = { resource: `unit:${unit.name}` };
  if (!parseUnitName(unit.name)) throw new NodekilnError('NK_UNIT_FAILED', `${unit.name} is not a unit name`);
  if (unit.loadState === 'not-found') throw new NodekilnError('NK_UNIT_MISSING', `Unit ${unit.name} not found.`, place);
  if (unit.loadState === 'masked') throw new NodekilnError('NK_UNIT_FAILED', `Unit ${unit.name} is masked.`, place);
  if (unit.loadState !== 'loaded') {
    throw new NodekilnError('NK_UNIT_FAILED', `Unit ${unit.name} has a bad unit file setting.`, place);
  }
}

export async function startUnit(manager: Manager, name: string, type: 'start' | 'restart' = 'start'): Promise<Job> {
  const unit = await load(manager, name);
  startable(unit);
  if (type === 'start' && unit.activeState === 'active' && unit.job === undefined) {
    const job = queue(unit, 'start');
    job.settle('done');
    return job;
  }
  if (unit.job?.type === type) return unit.job;
  const job = queue(unit, type);
  const required = [...(await related(manager, unit, 'Requires')), ...(await related(manager, unit, 'BindsTo'))];
  for (const dependency of required) startable(await load(manager, dependency));
  for (const dependency of required) await startUnit(manager, dependency);
  for (const dependency of await related(manager, unit, 'Wants'))
    await startUnit(manager, dependency).catch(() => undefined);
  void carryOut(manager, unit, job, new Set(required));
  return job;
}

async function carryOut(manager: Manager, unit: Unit, job: Job, required: ReadonlySet<string>): Promise<void> {
  for (const name of await related(manager, unit, 'After')) {
    const before = await load(manager, name);
    const result = await (before.job && before.job.type !== 'reload' ? before.job.result : undefined);
    const broken = result !== undefined && result !== 'done' && required.has(name);
    if (broken && unit.job === job) return job.settle('dependency');
  }
  if (unit.job !== job) return;
  const active = unit.activeState === 'active' || unit.activeState === 'activating';
  if (job.type === 'restart' && active) {
    await dependents(manager, unit, async (other) => void (await startUnit(manager, other.name, 'restart')));
    deactivate(manager, unit, () => activate(manager, unit));
    return;
  }
  activate(manager, unit);
}

/** Units that go where this one goes, by Requires=, BindsTo= or PartOf=. */
async function dependents(manager: Manager, unit: Unit, work: (other: Unit) => Promise<void>): Promise<void> {
  for (const other of manager.units.values()) {
    if (other === unit || other.activeState !== 'active') continue;
    const tied = ['Requires', 'BindsTo', 'PartOf'].some((key) => other.file.words('Unit', key).includes(unit.name));
    if (tied) await work(other);
  }
}

export async function stopUnit(manager: Manager, name: string): Promise<Job> {
  const unit = await load(manager, name);
  if (unit.loadState === 'not-found') startable(unit);
  if (unit.job?.type === 'stop') return unit.job;
  const job = queue(unit, 'stop');
  await dependents(manager, unit, async (other) => void (await stopUnit(manager, other.name)));
  if (unit.activeState === 'inactive' || unit.activeState === 'failed') {
    job.settle('done');
    return job;
  }
  deactivate(manager, unit, () => job.settle('done'));
  return job;
}

export async function reload(manager: Manager, unit: Unit): Promise<Job> {
  const job = queue(unit, 'reload');
  manager.clock.after(0, () => job.settle('done'));
  return job;
}
