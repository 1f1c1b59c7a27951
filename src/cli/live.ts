/** What `verify` and `seal` look at: a root folder or, only when it is said, the running machine. */
import { existsSync } from 'node:fs';
import { NodekilnError } from '../errors.ts';
import { flagOption, textOption, type OptionSpec, type Options } from './verb.ts';

export const liveOption: OptionSpec = { flag: '--live', about: 'work on the running machine instead of a folder' };

/** `/` stands for the running machine; `whyAsked` says why it is named. NK_USAGE unless exactly one of the two is given, NK_NO_SYSTEMD where none runs. */
export function hostRoot(options: Options, whyAsked: string): string {
  const root = textOption(options, 'root');
  const live = flagOption(options, 'live');
  if (live === (root !== undefined))
    throw new NodekilnError('NK_USAGE', 'give either --root DIR or --live, for the running machine', {
      hint: `The machine is never taken by default: ${whyAsked}.`,
    });
  if (root !== undefined) {
    if (!/^\/+$/.test(root)) return root;
    throw new NodekilnError('NK_USAGE', '--root / is the running machine', { hint: 'Say --live if it is meant.' });
  }
  if (existsSync('/run/systemd/system')) return '/';
  throw new NodekilnError('NK_NO_SYSTEMD', 'no systemd runs here', { hint: 'Give --root DIR to work on a folder.' });
}
