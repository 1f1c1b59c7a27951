/** `nodekiln boot`: on the way to a running kubelet, so nothing heavy is imported here. */
import { NodekilnError } from '../errors.ts';
import { count } from '../model/count.ts';
import { formatDuration } from '../inspect/format.ts';
import type { BootResult } from '../telemetry/result.ts';
import { errorFrom } from './error-from.ts';
import { formatError, formatWarnings, paragraphs } from './output.ts';
import { oneLine } from './printing.ts';
import { textOption, type Verb } from './verb.ts';

export const bootVerb: Verb = {
  spec: {
    name: 'boot',
    summary: 'turn this machine into a node, as its documents say',
    description:
      'Reads the NodeConfig documents of the host, applies them and waits until kubelet is healthy; work that may wait follows. Called by nodekiln-boot.service at every start; a second time there is nothing to do.',
    arguments: [],
    options: [
      {
        flag: '--until',
        value: 'SCOPE',
        about: 'shared: stop before anything that belongs to one machine, so that it can be captured',
        choices: ['shared', 'node'],
        default: 'node',
      },
    ],
    examples: ['nodekiln boot', 'nodekiln boot --until shared'],
    kind: 'BootResult',
    root: 'always',
    systemd: true,
    endsItself: true,
  },
  async run({ options, signal, onEvent, terminal }) {
    const { boot } = await import('../boot/boot.ts');
    const result = await boot({ sharedOnly: textOption(options, 'until') === 'shared', signal, onEvent });
    const obstacle = errorFrom(result.join?.obstacle);
    return {
      data: result,
      text: paragraphs(
        formatWarnings(result.warnings, terminal.style),
        // That of a boot that failed is printed as its error.
        obstacle && result.outcome !== 'failed' ? formatError(obstacle, terminal.style) : '',
        bootSentence(result),
        delaysSentence(result),
      ),
      ...(result.outcome === 'failed' && { error: errorFrom(result.error) ?? failedSteps(result) }),
    };
  },
};

/** `converged in 1.24 s: kubelet healthy after 0.98 s, 41 steps (generation 1)` */
export function bootSentence(result: BootResult): string {
  const at = (name: string): number | undefined => result.milestones.find((milestone) => milestone.name === name)?.atMs;
  const start = at('process') ?? 0;
  const end = Math.max(start, ...result.steps.map((step) => step.endMs), ...result.spans.map((span) => span.endMs));
  const time = formatDuration(end - start);
  const generation = result.generation === undefined ? '' : ` (generation ${result.generation})`;
  if (result.unchanged) return `nothing to do: this machine is as its documents say, known after ${time}${generation}`;
  const passed = [
    ['kubelet healthy', at('healthz')],
    ['registered', at('registered')],
    ['Ready', at('ready')],
  ] as const;
  const goal = passed
    .flatMap(([name, ms]) => (ms === undefined ? [] : [` ${name} after ${formatDuration(ms - start)},`]))
    .join('');
  return `${result.outcome} in ${time}:${goal} ${count(result.steps.length, 'step')}${generation}`;
}

/** `kubelet waited for unit:demo.service (1.2 s), which …` */
function delaysSentence({ delays = [] }: BootResult): string {
  if (delays.length === 0) return '';
  const named = delays.map(({ resource, ms }) => `${resource} (${formatDuration(ms)})`).join(', ');
  return oneLine(`kubelet waited for ${named}; it does not with \`deferrable: true\``);
}

function failedSteps(result: BootResult): NodekilnError {
  const failed = result.steps.filter((step) => step.status === 'failed').map((step) => step.id);
  return new NodekilnError('NK_INTERNAL', `the boot failed in ${failed.join(', ') || 'no step'} without an error`);
}
