/** `--arch`: one vocabulary for people, whatever packages and programs call the two. */
import { NodekilnError } from '../errors.ts';
import { program } from '../host/program.ts';
import { asArch, parseArch, type Arch } from '../model/arch.ts';
import { textOption, type OptionSpec, type Options } from './verb.ts';

export const archOption: OptionSpec = {
  flag: '--arch',
  value: 'ARCH',
  about: 'amd64 or arm64 (x86_64 and aarch64 are understood); this machine’s unless told',
};

/** The canonical name. NK_USAGE for what is none. */
export function architectureOption(options: Options): Arch {
  const text = textOption(options, 'arch');
  if (text === undefined) return parseArch(program.architecture);
  const arch = asArch(text);
  if (arch) return arch;
  throw new NodekilnError('NK_USAGE', `--arch ${text} is no architecture that is known here`, {
    hint: 'Say amd64 or arm64.',
  });
}
