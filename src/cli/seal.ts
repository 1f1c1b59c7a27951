/** `nodekiln seal` */
import type { SealReport } from '../bake/seal.ts';
import { count } from '../model/count.ts';
import { hostRoot, liveOption } from './live.ts';
import { paragraphs } from './output.ts';
import { table, type Look } from './table.ts';
import { flagOption, listOption, type Verb } from './verb.ts';

export const sealVerb: Verb = {
  spec: {
    name: 'seal',
    summary: 'take everything out of an image that belongs to one machine only',
    description:
      'Stops and disables containerd and kubelet, empties /etc/machine-id, removes host keys, leases, the state of cloud-init, clouds’ agents, configuration management and kubelet, credentials, logs and caches, and reads every cached binary once more. Sealing again finds nothing to do.',
    arguments: [],
    options: [
      { flag: '--root', value: 'DIR', about: 'the root folder of the image' },
      liveOption,
      {
        flag: '--keep',
        value: 'PATH',
        about: 'what stays, with all that is in it; may be given several times',
        many: true,
      },
      { flag: '--dry-run', about: 'say what would be done and change nothing' },
    ],
    examples: [
      'nodekiln seal --root /srv/image',
      'nodekiln seal --root /srv/image --keep /home/ops/.ssh',
      'nodekiln seal --live --dry-run',
    ],
    kind: 'SealReport',
    root: 'always',
    endsItself: true,
  },
  async run({ options, terminal }) {
    const root = hostRoot(options, 'its identity would be lost');
    const { sealImage } = await import('../bake/seal.ts');
    const report = await sealImage({ root, dryRun: flagOption(options, 'dry-run'), keep: listOption(options, 'keep') });
    return { data: report, text: sealText(report, terminal) };
  },
};

function sealText(report: SealReport, look: Look): string {
  const { dryRun, changed, root, removed, cache } = report;
  const verified = `${count(cache.verified, 'cached binary', 'cached binaries')} read in full`;
  if (!changed) return `${root} is sealed already; ${verified}`;
  const rows = [
    ...removed.map(({ title, why, paths }) => [dryRun ? 'would remove' : 'removed', title, few(paths), why]),
    ...rowOf(dryRun ? 'would empty' : 'emptied', 'files', report.emptied),
    ...rowOf(dryRun ? 'would write' : 'wrote', 'files', report.written),
    ...rowOf(dryRun ? 'would stop' : 'stopped', 'units', report.stopped),
    ...rowOf(dryRun ? 'would disable' : 'disabled', 'units', report.disabled),
    ...rowOf(dryRun ? 'would renew' : 'renewed', 'seals', cache.renewed),
  ];
  return paragraphs(
    table([{ title: 'DONE' }, { title: 'WHAT' }, { title: 'WHERE' }, { title: 'WHY' }], rows, look),
    dryRun ? `${root} is not sealed; nothing was changed` : `sealed: ${root}; ${verified}`,
  );
}

function rowOf(done: string, what: string, names: readonly string[]): string[][] {
  return names.length === 0 ? [] : [[done, what, few(names), '']];
}

function few(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
