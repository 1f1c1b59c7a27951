/** `nodekiln bake MANIFEST --root DIR` */
import { count } from '../inspect/format.ts';
import { NodekilnError } from '../errors.ts';
import { formatWarnings, paragraphs } from './output.ts';
import { textOption, type Verb } from './verb.ts';

export const bakeVerb: Verb = {
  spec: {
    name: 'bake',
    summary: 'fill a root folder with everything an ImageManifest names',
    description:
      'Caches and verifies binaries, installs packages, imports container images. Nothing in the root is started. Baking again changes only what differs.',
    arguments: [{ name: 'MANIFEST', about: 'an ImageManifest (YAML or JSON)', required: true }],
    options: [{ flag: '--root', value: 'DIR', about: 'the root folder of the image', required: true }],
    examples: ['nodekiln bake image.yaml --root /srv/image'],
    kind: 'BakeReport',
    root: 'always',
    endsItself: true,
  },
  async run({ arguments: [manifest = ''], options, signal, onEvent, terminal }) {
    const root = textOption(options, 'root') ?? '';
    const { bake } = await import('../bake/bake.ts');
    const report = await bake({ manifest, root, signal, onEvent });
    const failed = report.steps.filter((step) => step.status === 'failed');
    const done =
      report.changes === 0
        ? `nothing to do: ${root} is as the manifest says (generation ${report.generation})`
        : `${report.outcome}: ${count(report.changes, 'resource')} changed in ${root} (generation ${report.generation})`;
    const disabled =
      report.disabledUnits.length === 0
        ? ''
        : `disabled again, since the manifest does not ask for them: ${report.disabledUnits.join(', ')}`;
    return {
      data: report,
      text: paragraphs(formatWarnings(report.warnings, terminal.style), [done, disabled].filter(Boolean).join('\n')),
      ...(report.outcome === 'failed' && {
        error: new NodekilnError('NK_INTERNAL', `the bake failed in ${failed.map((step) => step.id).join(', ')}`),
      }),
    };
  },
};
