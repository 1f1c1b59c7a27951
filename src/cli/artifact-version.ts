/** `nodekiln artifact version TEXT` */
import { table } from './table.ts';
import type { Verb } from './verb.ts';

export const artifactVersionVerb: Verb = {
  spec: {
    name: 'artifact version',
    summary: 'show how a version text is read, and its cache key',
    arguments: [{ name: 'VERSION', about: 'any spelling: 1.34.3, v1.30.0-rc.1, 1.7.15-ubuntu22.04u2', required: true }],
    options: [],
    examples: ['nodekiln artifact version 1.34.3-1.1', 'nodekiln artifact version v1.30.0-rc.1+k3s1 --json'],
    kind: 'Version',
    root: 'never',
  },
  async run({ arguments: [text = ''], terminal }) {
    const { parseVersion, cacheKey } = await import('../model/version.ts');
    const parsed = parseVersion(text);
    const key = cacheKey(parsed);
    const rows = [...Object.entries(parsed).map(([part, value]) => [part, String(value)]), ['cache key', key]];
    return {
      data: { text, ...parsed, cacheKey: key },
      text: table([{ title: 'PART' }, { title: 'VALUE' }], rows, terminal),
    };
  },
};
