/** `nodekiln artifact inspect FILE` */
import { resolve as absolute } from 'node:path';
import { paragraphs } from './output.ts';
import { table } from './table.ts';
import { onThisMachine } from './this-machine.ts';
import type { Verb } from './verb.ts';

export const artifactInspectVerb: Verb = {
  spec: {
    name: 'artifact inspect',
    summary: 'show what a package says about itself and what it holds',
    description: 'Reads the whole of a .deb, .rpm, tarball or plain file, checks it and takes nothing out.',
    arguments: [{ name: 'FILE', about: 'a package or file', required: true }],
    options: [],
    examples: ['nodekiln artifact inspect kubelet_1.34.3-1.1_amd64.deb'],
    kind: 'ArtifactInspection',
    root: 'never',
  },
  async run({ arguments: [file = ''], terminal }) {
    const { inspectArtifact } = await import('../artifacts/inspect.ts');
    const inspection = await onThisMachine((host) => inspectArtifact(host, absolute(file), { what: file }));
    const { entries, ...about } = inspection;
    const facts = Object.entries(about).map(([key, value]) => [
      key,
      typeof value === 'object' ? JSON.stringify(value) : String(value),
    ]);
    const members = entries.map(({ mode, type, size, name, target }) => [
      mode,
      type,
      String(size),
      target === undefined ? name : `${name} → ${target}`,
    ]);
    const rest = inspection.members - entries.length;
    return {
      data: inspection,
      text: paragraphs(
        table([{ title: 'FACT' }, { title: 'VALUE', whole: true }], facts, terminal),
        table(
          [{ title: 'MODE' }, { title: 'TYPE' }, { title: 'SIZE', align: 'right' }, { title: 'MEMBER' }],
          members,
          terminal,
        ),
        rest > 0 ? `and ${rest} more members` : '',
      ),
    };
  },
};
