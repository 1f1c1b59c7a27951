/**
 * A plan as people read it: what cannot be done first, then each change with its reason, the steps by resource, why they stand
 * where they stand (each reason once), where programs come from, and what happens to units.
 */
import { count } from '../model/count.ts';
import type { PlannedStep, PlanReport } from '../inspect/plan-report.ts';
import type { Unserved } from '../inspect/plan-unserved.ts';
import { formatRemarks, paragraphs } from './output.ts';
import { oneLine } from './printing.ts';
import { plainLook, table, type Look } from './table.ts';

export function planText(report: PlanReport, look: Look = plainLook): string {
  const { style } = look;
  const warnings = formatRemarks(report, style);
  const overridden =
    report.overridden.length === 0
      ? ''
      : oneLine(`left to a later source, which has taken them over: ${report.overridden.join(', ')}`);
  if (report.steps.length === 0)
    return paragraphs(warnings, overridden, 'nothing to do: this machine is as its documents say');
  const section = (name: string, text: string): string => (text === '' ? '' : `${style('bold', name)}\n${text}`);
  const possible = report.steps.filter((step) => step.possible);
  const isGoalLost = report.steps.some(({ id, possible: is }) => id === report.goal && !is);
  const goal = `${report.goal ?? ''}${isGoalLost ? ', which is not reached' : ''}`;
  const steps = (phase: PlannedStep['phase']): string => stepsText(report, phase, look);
  const impact = impactText(report, look);
  const undone = report.steps.length - possible.length;
  return paragraphs(
    section('Not possible', unservedText(report.unserved, look)),
    warnings,
    overridden,
    section('Changes', changesText(report, look)),
    section(
      report.goal === undefined ? 'Steps' : `Before the goal (${goal})`,
      paragraphs(steps('goal'), beforeGoalText(report)),
    ),
    section('Once the goal is reached', steps('deferred')),
    section('Sources of programs', sourcesText(report, look)),
    section('Impact', impact === '' ? 'no unit starts, stops, restarts or reloads' : impact),
    `${count(report.changes.length, 'resource')} to change in ${count(report.steps.length, 'step')}${undone === 0 ? '' : `, ${undone} of which cannot be done`}`,
  );
}

const consequences = {
  failed: 'the run fails',
  degraded: 'the run is degraded',
  reported: 'it is reported',
} as const satisfies Record<Unserved['outcome'], string>;
const undoneEffects: Readonly<Record<string, string>> = {
  start: 'does not start',
  restart: 'does not restart',
  reload: 'does not reload',
  stop: 'does not stop',
};

function unservedText(unserved: readonly Unserved[], look: Look): string {
  return table(
    [{ title: 'PROGRAM' }, { title: 'WHY NOT' }, { title: 'WHAT FOLLOWS' }],
    unserved.map(({ id, version, why, outcome, impact }) => [
      `${id} ${version}`,
      why.join('; '),
      [consequences[outcome], ...impact.map(({ unit, effect }) => `${unit} ${undoneEffects[effect]}`)].join('; '),
    ]),
    look,
  );
}

function changesText({ changes }: PlanReport, look: Look): string {
  return table(
    [{ title: 'CHANGE' }, { title: 'RESOURCE' }, { title: 'WHAT DIFFERS' }],
    changes.map(({ type, id, facets, details }) => [type, id, details.join('; ') || facets.join(', ')]),
    look,
  );
}

/** What a document may take out of kubelet's way is said with the word that does it. */
function beforeGoalText({ beforeGoal, goal = '' }: PlanReport): string {
  if (beforeGoal.length === 0) return '';
  const named = (units: PlanReport['beforeGoal']): string => units.map(({ unit }) => unit).join(', ');
  const waiting = beforeGoal.filter(({ mayWait }) => mayWait);
  const hint = waiting.length === 0 ? '' : `; with \`deferrable: true\` it does not for ${named(waiting)}`;
  return oneLine(`${goal.replace(/^ready unit:/, '')} waits for ${named(beforeGoal)}${hint}`);
}

/** By resource, where its first step stands; a reason that the change gives already is not repeated. */
function stepsText({ steps, changes }: PlanReport, phase: PlannedStep['phase'], look: Look): string {
  const said = new Map<string, string>(changes.map(({ id, details }) => [id, details.join(', ')]));
  const inPhase = steps.filter((step) => step.phase === phase && step.possible);
  const byResource = Map.groupBy(inPhase, ({ id, resource }) => (id.includes(resource) ? resource : ''));
  const rows = [...byResource].flatMap(([resource, own]) =>
    resource === ''
      ? own.map((step) => ({ first: step.position, cells: [String(step.position), '', `${step.id} (${step.why})`] }))
      : [
          {
            first: own[0]?.position ?? 0,
            cells: [positions(own), resource, own.map((step) => verbOf(step, said.get(resource))).join(', ')],
          },
        ],
  );
  const steppers = table(
    [{ title: '#', align: 'right' }, { title: 'RESOURCE' }, { title: 'STEPS' }],
    rows.sort((a, b) => a.first - b.first).map(({ cells }) => cells),
    look,
  );
  const reasons = table(
    [{ title: '#', align: 'right' }, { title: 'WHY HERE' }],
    [...Map.groupBy(inPhase, ({ reason }) => reason)].map(([reason, own]) => [positions(own), reason]),
    look,
  );
  return paragraphs(steppers, reasons);
}

/** `write /etc/hosts` of the step `write file:/etc/hosts`, with its reason where that is one of its own. */
function verbOf({ id, resource, why }: PlannedStep, said: string | undefined): string {
  const path = resource.slice(resource.indexOf(':') + 1);
  const words = id.replace(resource, '').trim().replaceAll(/\s+/g, ' ').replace(` ${path}`, '');
  return why === said ? words : `${words} (${why})`;
}

/** `1-3, 5` */
function positions(steps: readonly PlannedStep[]): string {
  const ranges: [number, number][] = [];
  for (const { position } of steps) {
    const last = ranges.at(-1);
    if (last && position === last[1] + 1) last[1] = position;
    else ranges.push([position, position]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}

function sourcesText({ sources }: PlanReport, look: Look): string {
  return table(
    [{ title: 'PROGRAM' }, { title: 'SOURCE' }, { title: 'PART' }, { title: 'WHERE, OR WHY NOT' }],
    sources.flatMap(({ id, version, sources: list }) =>
      list.map(({ source, part, why }, index) => [index === 0 ? `${id} ${version}` : '', source, part, why]),
    ),
    look,
  );
}

function impactText({ impact, changes }: PlanReport, look: Look): string {
  const said = new Map(changes.map(({ id, details }) => [id, details.join(', ')]));
  return table(
    [{ title: 'EFFECT' }, { title: 'UNIT' }, { title: 'WHY' }],
    impact.map(({ effect, unit, why }) => [effect, unit, why === said.get(`unit:${unit}`) ? 'as above' : why]),
    look,
  );
}
