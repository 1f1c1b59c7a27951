/** `nodekiln artifact compare LEFT RIGHT` */
import { NodekilnError } from '../errors.ts';
import { textOption, type Verb } from './verb.ts';

const orders = ['semver', 'deb', 'rpm'] as const;
type Order = (typeof orders)[number];
const words = { '-1': 'is older than', '0': 'is as old as', '1': 'is newer than' } as const;

export const artifactCompareVerb: Verb = {
  spec: {
    name: 'artifact compare',
    summary: 'compare two versions in the order of semver, Debian or RPM',
    arguments: [
      { name: 'LEFT', about: 'a version', required: true },
      { name: 'RIGHT', about: 'another', required: true },
    ],
    options: [{ flag: '--order', value: 'ORDER', about: 'whose rules', choices: orders, default: 'semver' }],
    examples: ['nodekiln artifact compare 1.34.3 1.34.10', 'nodekiln artifact compare 1.0~rc1 1.0 --order deb'],
    kind: 'VersionComparison',
    root: 'never',
  },
  async run({ arguments: [left = '', right = ''], options }) {
    const { compareVersions } = await import('../model/version.ts');
    const order = textOption(options, 'order') ?? 'semver';
    if (!isOrder(order)) throw new NodekilnError('NK_USAGE', `there is no order ${order}`);
    const result = compareVersions(left, right, order);
    return { data: { left, right, order, result }, text: `${left} ${words[result]} ${right}` };
  },
};

function isOrder(text: string): text is Order {
  return orders.some((order) => order === text);
}
