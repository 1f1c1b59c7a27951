/** `nodekiln status` */
import { visibleLine } from '../model/printable.ts';
import { NodekilnError } from '../errors.ts';
import { count } from '../model/count.ts';
import { digestShown, formatDuration } from '../inspect/format.ts';
import type { HostStatus } from '../inspect/status.ts';
import { errorFrom } from './error-from.ts';
import { lines, paragraphs } from './output.ts';
import { table, type Look } from './table.ts';
import { flagOption, rootOption, textOption, type Verb } from './verb.ts';

export const statusVerb: Verb = {
  spec: {
    name: 'status',
    summary: 'show what is applied, and what is pending, failed or drifted',
    description: 'Compares this machine with what its sources ask for, and changes nothing.',
    arguments: [],
    options: [rootOption, { flag: '--check', about: 'exit status of class check when anything is not in place' }],
    examples: ['nodekiln status', 'nodekiln status --check --json'],
    kind: 'Status',
    root: 'host',
  },
  async run({ options, terminal }) {
    const [{ createLinuxHost }, { lookAtJournal }, { status }] = await Promise.all([
      import('../host/linux/host.ts'),
      import('../apply/journal.ts'),
      import('../inspect/status.ts'),
    ]);
    const host = createLinuxHost({ root: textOption(options, 'root') ?? '/' });
    const journal = await lookAtJournal(host);
    try {
      const found = await status(host, journal);
      const differences = found.resources.length;
      return {
        data: found,
        text: statusText(found, terminal),
        ...(flagOption(options, 'check') &&
          differences > 0 && {
            error: new NodekilnError('NK_CHECK_DIFFERENCES', `${count(differences, 'resource')} not in place`),
          }),
      };
    } finally {
      journal?.close();
      await host.close();
    }
  },
};

export function statusText(found: HostStatus, look: Look): string {
  const { generation, summary } = found;
  if (!generation)
    return lines('nodekiln has applied nothing here', ...stateRows(found).map(([name, value]) => `${name}  ${value}`));
  const sources = found.sources.map(({ source, resources }) => `${source} ${resources}`).join(', ');
  const outOfPlace = (['pending', 'failed', 'drifted'] as const)
    .filter((state) => summary[state] > 0)
    .map((state) => `${summary[state]} ${state}`);
  const facts = [
    ['generation', `${generation.number} (${generation.status}, from ${generation.source}, ${generation.createdAt})`],
    ['resources', `${[`${summary.inPlace} in place`, ...outOfPlace].join(', ')} (${sources || 'no source'})`],
    ...bootRows(found),
    ...joinRows(found),
    ...agentRows(found),
    ...stateRows(found),
    ...found.damage.map((what) => ['journal', `${what}; rebuilt from the generation files`]),
  ];
  const width = Math.max(...facts.map(([name]) => name?.length ?? 0));
  return paragraphs(
    lines(...facts.map(([name = '', value = '']) => `${look.style('dim', name.padEnd(width))}  ${value}`)),
    table(
      [{ title: 'STATE' }, { title: 'RESOURCE' }, { title: 'SOURCE' }, { title: 'WHAT DIFFERS' }],
      found.resources.map((resource) => [resource.state, resource.id, resource.source, resource.details.join('; ')]),
      look,
    ),
    table(
      [
        { title: 'UNIT' },
        { title: 'ACTIVE' },
        { title: 'SUB' },
        { title: 'ENABLED' },
        { title: 'RESTARTS', align: 'right' },
      ],
      found.units.map((unit) => [
        unit.name,
        unit.activeState,
        unit.subState,
        unit.unitFileState || '-',
        String(unit.restarts ?? '-'),
      ]),
      look,
    ),
  );
}

function bootRows({ boot, worked, bootDamage }: HostStatus): string[][] {
  const damage = bootDamage.map((what) => ['last boot', visibleLine(what)]);
  if (!boot) return damage;
  const hint = boot.outcome === 'failed' ? errorFrom(boot.error)?.hint : undefined;
  return [
    ['last boot', bootText(boot)],
    ...(hint === undefined ? [] : [['', hint]]),
    ...(worked && worked.outcome !== boot.outcome ? [['', `before it: ${bootText(worked)}`]] : []),
    ...damage,
  ];
}

function bootText(boot: NonNullable<HostStatus['boot']>): string {
  const error = errorFrom(boot.error);
  return `${boot.outcome}, ${boot.finishedAt}${error ? `: ${error.code} ${error.message}` : ''}`;
}

/** `node-1: registered after 1.92 s`, and what stands in the way. */
function joinRows({ boot }: HostStatus): string[][] {
  if (!boot?.join) return [];
  const { nodeName, reached, goal } = boot.join;
  const at = (name: string): number | undefined => boot.milestones.find((milestone) => milestone.name === name)?.atMs;
  const reachedMs = reached && at(reached);
  const after = reachedMs === undefined ? '' : ` after ${formatDuration(reachedMs - (at('process') ?? 0))}`;
  const obstacle = errorFrom(boot.join.obstacle);
  const course = reached === undefined ? `not joined (goal: ${goal})` : `${reached}${after} (goal: ${goal})`;
  return [
    ['node', `${nodeName}: ${course}`],
    ...(obstacle
      ? [
          ['', `${obstacle.code} ${obstacle.message}`],
          ['', obstacle.hint],
        ]
      : []),
  ];
}

function agentRows({ agent, agentDocuments }: HostStatus): string[][] {
  if (!agent) return [];
  const error = errorFrom(agent.error);
  const documents = agent.digest === undefined ? '' : `, documents ${agent.digest.slice(0, digestShown)}`;
  const now = agentDocuments && !agentDocuments.reported ? ', which have changed since' : '';
  return [
    [
      'agent',
      `${agent.outcome}, ${agent.finishedAt}${documents}${now}${error ? `: ${error.code} ${error.message}` : ''}`,
    ],
  ];
}

function stateRows({ agentState }: HostStatus): string[][] {
  if (!agentState) return [];
  const troubles = agentState.troubles.flatMap(({ controller, since, error: told }) => {
    const error = errorFrom(told);
    if (!error) return [];
    const rows = [['trouble', `${controller}, since ${since}: ${error.code} ${error.message}`]];
    return error.hint === undefined ? rows : [...rows, ['', error.hint]];
  });
  const warnings = agentState.notices.filter(({ type }) => type === 'Warning');
  return [...troubles, ...warnings.map(({ at, message }) => ['warning', `${at}: ${message}`])];
}
