/** `nodekiln version` */
import { program } from '../host/program.ts';
import { version } from '../model/program.ts';
import type { Verb } from './verb.ts';

export const versionVerb: Verb = {
  spec: {
    name: 'version',
    summary: 'print the version of nodekiln and of the runtime under it',
    arguments: [],
    options: [],
    examples: ['nodekiln version'],
    kind: 'Version',
    root: 'never',
  },
  run() {
    const { runtime, architecture: arch } = program;
    return Promise.resolve({
      data: { nodekiln: version, runtime, arch },
      text: `nodekiln ${version} (${runtime}, ${arch})`,
    });
  },
};
