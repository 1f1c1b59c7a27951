/** `nodekiln bake MANIFEST --root DIR` */
import type { BakeReport } from '../bake/bake.ts';
import { count } from '../model/count.ts';
import { NodekilnError } from '../errors.ts';
import { formatSize, parseSize } from '../config/size.ts';
import type { Space } from '../image/space.ts';
import { requireApart, requireFolderOf } from './output-file.ts';
import { formatWarnings, lines, paragraphs } from './output.ts';
import { table, type Look } from './table.ts';
import { flagOption, textOption, type Options, type Verb } from './verb.ts';

export const bakeVerb: Verb = {
  spec: {
    name: 'bake',
    summary: 'fill a root folder with everything an ImageManifest names',
    description:
      'Caches and verifies binaries, installs packages, imports container images. Nothing in the root is started. Baking again changes only what differs.',
    arguments: [{ name: 'MANIFEST', about: 'an ImageManifest (YAML or JSON)', required: true }],
    options: [
      { flag: '--root', value: 'DIR', about: 'the root folder of the image', required: true },
      { flag: '--lock', value: 'FILE', about: 'the lock file; beside the manifest unless told' },
      { flag: '--frozen', about: 'refuse to differ from the lock file in anything' },
      { flag: '--update-lock', about: 'accept artifacts that changed at their source since they were locked' },
      { flag: '--sbom', value: 'FILE', about: 'write the bill of materials (SPDX 2.3, JSON) here, too' },
      { flag: '--space', about: 'list what takes space in the root' },
      { flag: '--size-budget', value: 'SIZE', about: 'list it, and fail when the root takes more; 3GiB, 800MB' },
      { flag: '--jobs', value: 'N', about: 'packages unpacked at a time; as many as processors unless told' },
      { flag: '--transfers', value: 'N', about: 'transfers at a time; 4 unless told' },
    ],
    examples: ['nodekiln bake image.yaml --root /srv/image', 'nodekiln bake image.yaml --root /srv/image --frozen'],
    kind: 'BakeReport',
    root: 'always',
    endsItself: true,
  },
  async run({ arguments: [manifest = ''], options, signal, onEvent, terminal }) {
    const root = textOption(options, 'root') ?? '';
    const { bake } = await import('../bake/bake.ts');
    const [lockFile, jobs, transfers] = [
      textOption(options, 'lock'),
      countOption(options, 'jobs'),
      countOption(options, 'transfers'),
    ];
    const [frozen, updateLock] = [flagOption(options, 'frozen'), flagOption(options, 'update-lock')];
    if (frozen && updateLock) throw new NodekilnError('NK_USAGE', '--frozen and --update-lock contradict each other');
    const [sbom, budget] = [textOption(options, 'sbom'), sizeOption(options)];
    requireApart({ reads: [manifest], writes: [lockFile, sbom] });
    for (const path of [sbom, lockFile]) if (path !== undefined) requireFolderOf(path);
    const report = await bake({
      manifest,
      space: flagOption(options, 'space') || budget !== undefined,
      ...(sbom !== undefined && { sbom }),
      root,
      frozen,
      updateLock,
      ...(lockFile !== undefined && { lockFile }),
      ...(jobs !== undefined && { jobs }),
      ...(transfers !== undefined && { transfers }),
      signal,
      onEvent,
    });
    if ('error' in report) {
      const { error, ...data } = report;
      return { data, text: '', error };
    }
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
      text: paragraphs(
        formatWarnings(report.warnings, terminal.style),
        spaceText(report, terminal),
        [lines(...[done, disabled].filter(Boolean)), skippedText(report), lockText(report.lock)]
          .filter(Boolean)
          .join('\n'),
      ),
      ...(report.space &&
        budget !== undefined &&
        report.space.totalBytes > budget && { error: tooLarge(report.space, budget) }),
    };
  },
};

function countOption(options: Options, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new NodekilnError('NK_USAGE', `--${name} wants a number from 1 up, not ${text}`);
}

function skippedText({ skipped }: BakeReport): string {
  return lines(...skipped.map(({ component, why }) => `skipped ${component}: ${why}`));
}

function lockText({ path, outcome, differences }: BakeReport['lock']): string {
  if (outcome === 'unchanged') return '';
  return lines(`locked in ${path}`, ...differences.map((difference) => `  ${difference}`));
}

function sizeOption(options: Options): number | undefined {
  const text = textOption(options, 'size-budget');
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new NodekilnError('NK_USAGE', `--size-budget wants a size like 3GiB or 800MB, not ${text}`);
}

function spaceText({ space }: BakeReport, look: Look): string {
  if (!space) return '';
  const rows = [...space.components, { component: 'all', bytes: space.totalBytes }];
  return table(
    [{ title: 'COMPONENT' }, { title: 'SIZE', align: 'right' }],
    rows.map(({ component, bytes }) => [component, formatSize(bytes)]),
    look,
  );
}

function tooLarge({ totalBytes, components }: Space, budget: number): NodekilnError {
  const [first] = components;
  const most = first ? `; most of it is ${first.component} (${formatSize(first.bytes)})` : '';
  return new NodekilnError(
    'NK_CHECK_SIZE',
    `the root takes ${formatSize(totalBytes)}, more than the budget of ${formatSize(budget)}${most}`,
  );
}
