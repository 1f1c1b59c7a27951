/** `nodekiln reset`: what the agent brought goes, and who this node is. */
import type { ResetReport } from '../agent/reset.ts';
import { NodekilnError } from '../errors.ts';
import { count } from '../model/count.ts';
import { paragraphs } from './output.ts';
import { table, type Look } from './table.ts';
import { flagOption, type Verb } from './verb.ts';

export const resetVerb: Verb = {
  spec: {
    name: 'reset',
    summary: 'take back what the agent brought, and make this node nobody',
    description:
      'Stops the agent, removes what its source asked for (what that replaced comes back), stops kubelet, takes away the routes to pods that the agent kept, and removes the credentials of the node and of its agent, and what a bootstrap brought: unit, configuration and program, and their place on the PATH. What the image and the boot brought stays; a boot with a new token makes a node of it again. Delete the Node in the cluster, too.',
    arguments: [],
    options: [
      { flag: '--yes', about: 'do it; without it, and without --dry-run, nothing is done' },
      { flag: '--dry-run', about: 'say what would be done and change nothing' },
    ],
    examples: ['nodekiln reset --dry-run', 'nodekiln reset --yes'],
    kind: 'ResetReport',
    root: 'always',
    systemd: true,
    endsItself: true,
  },
  async run({ options, signal, terminal }) {
    const dryRun = flagOption(options, 'dry-run');
    if (!dryRun && !flagOption(options, 'yes'))
      throw new NodekilnError('NK_USAGE', 'reset stops this node and removes its credentials', {
        hint: 'Look at it with --dry-run, and give --yes to do it.',
      });
    const [{ resetNode }, { createLinuxHost }] = await Promise.all([
      import('../agent/reset.ts'),
      import('../host/linux/host.ts'),
    ]);
    const host = createLinuxHost();
    try {
      const report = await resetNode(host, { dryRun, signal });
      return { data: { ...report, dryRun }, text: resetText(report, dryRun, terminal) };
    } finally {
      await host.close();
    }
  },
};

function resetText(report: ResetReport, dryRun: boolean, look: Look): string {
  if (report.unchanged) return 'nothing to do: the agent brought nothing that is left, and there are no credentials';
  const { changes, stopped, routes, removed } = report;
  const rows = [
    ...stopped.map((unit) => [dryRun ? 'would stop' : 'stopped', unit]),
    ...changes.map((change) => [
      dryRun ? `would be ${change.slice(0, change.indexOf(' '))}` : change.slice(0, change.indexOf(' ')),
      change.slice(change.indexOf(' ') + 1),
    ]),
    ...routes.map((subnet) => [dryRun ? 'would remove' : 'removed', `route to ${subnet}`]),
    ...removed.map((path) => [dryRun ? 'would remove' : 'removed', path]),
  ];
  return paragraphs(
    table([{ title: 'DONE' }, { title: 'WHAT' }], rows, look),
    dryRun ? 'nothing was changed' : `reset: ${count(rows.length, 'thing')}; delete the Node in the cluster, too`,
  );
}
