/** `nodekiln timeline` */
import { errnoOf, NodekilnError, whyRefused } from '../errors.ts';
import type { Host } from '../host/port.ts';
import type { UnitTiming } from '../inspect/timeline.ts';
import type { BootResult } from '../telemetry/result.ts';
import { readDocuments } from './documents.ts';
import { requireApart, writeOutput } from './output-file.ts';
import { rootOption, textOption, type Options, type Verb } from './verb.ts';
import { readBootId } from '../host/boot-id.ts';
import { textOf } from '../model/bytes.ts';

export const timelineVerb: Verb = {
  spec: {
    name: 'timeline',
    summary: 'show where the time of the last boot went, with the critical path',
    arguments: [],
    options: [
      rootOption,
      { flag: '--file', value: 'FILE', about: 'a boot result instead of the host’s own; needs no root rights' },
      { flag: '--svg', value: 'FILE', about: 'write a picture (SVG)' },
      { flag: '--trace', value: 'FILE', about: 'write Trace Event JSON for chrome://tracing or ui.perfetto.dev' },
    ],
    examples: [
      'nodekiln timeline',
      'nodekiln timeline --svg boot.svg',
      'nodekiln timeline --file result.json --trace boot.trace.json',
    ],
    kind: 'Timeline',
    root: 'never',
  },
  async run({ options, terminal }) {
    const [{ timeline }, { timelineTable }] = await Promise.all([
      import('../inspect/timeline.ts'),
      import('../inspect/timeline-table.ts'),
    ]);
    const [svg, trace] = [textOption(options, 'svg'), textOption(options, 'trace')];
    requireApart({ reads: [textOption(options, 'file')], writes: [svg, trace] });
    const { result, units, isEarlier = false } = await load(options);
    const found = timeline(result, units);
    const written: string[] = [];
    if (svg !== undefined) {
      const { timelineSvg } = await import('../inspect/timeline-svg.ts');
      written.push(await writeOutput(svg, timelineSvg(found)));
    }
    if (trace !== undefined) {
      const { timelineTrace } = await import('../inspect/timeline-trace.ts');
      written.push(await writeOutput(trace, `${JSON.stringify(timelineTrace(found))}\n`));
    }
    const table = timelineTable(found, { width: terminal.width, emphasise: (text) => terminal.style('yellow', text) });
    const earlier = isEarlier
      ? ['', 'This is of an earlier start of the machine: since the last one no boot has ended.']
      : [];
    return {
      data: { ...found, isEarlier, written },
      text: [table, ...earlier, ...written.map((file) => `written: ${file}`)].join('\n'),
    };
  },
};

interface Loaded {
  readonly result: BootResult;
  readonly units: readonly UnitTiming[];
  /** Of a start of the machine before the present one. */
  readonly isEarlier?: boolean;
}

async function load(options: Options): Promise<Loaded> {
  const { parseBootResult } = await import('../inspect/boot-result.ts');
  const file = textOption(options, 'file');
  if (file !== undefined)
    return { result: parseBootResult((await readDocuments([file]))[0]?.text ?? '', file), units: [] };
  const [{ createLinuxHost }, { bootResultPath }] = await Promise.all([
    import('../host/linux/host.ts'),
    import('../model/state-paths.ts'),
  ]);
  const host = createLinuxHost({ root: textOption(options, 'root') ?? '/' });
  try {
    const content = await host.files.read(bootResultPath).catch((cause: unknown) => {
      if (errnoOf(cause) === 'EACCES') {
        throw new NodekilnError('NK_NOT_ROOT', `${bootResultPath} belongs to root`, {
          cause,
          hint: 'Run it as root, or give --file.',
        });
      }
      throw new NodekilnError('NK_STATE_UNUSABLE', `${bootResultPath} cannot be read: ${whyRefused(cause)}`, { cause });
    });
    if (!content) {
      throw new NodekilnError('NK_STATE_UNUSABLE', `there is no boot result at ${bootResultPath}`, {
        hint: 'Run `nodekiln boot` first, or give --file.',
      });
    }
    const result = parseBootResult(textOf(content), bootResultPath);
    if (host.units.mode === 'offline') return { result, units: [] };
    const isEarlier = (await readBootId(host.files)) !== result.bootId;
    return { result, isEarlier, units: isEarlier ? [] : await unitTimings(host, result) };
  } finally {
    await host.close();
  }
}

/** What systemd remembers of the units that this boot started. */
async function unitTimings(host: Host, result: BootResult): Promise<UnitTiming[]> {
  const names = result.steps.flatMap((step) => /^(?:start|restart) unit:(.+)$/.exec(step.id)?.[1] ?? []);
  const end = Math.max(0, ...result.steps.map((step) => step.endMs));
  const timings = await Promise.all(names.map((name) => host.units.get(name)));
  // A unit that was restarted since then has other times.
  return timings.filter(
    ({ activeEnterUsec, inactiveExitUsec }) =>
      activeEnterUsec >= inactiveExitUsec && inactiveExitUsec > 0 && activeEnterUsec / 1000 <= end,
  );
}
