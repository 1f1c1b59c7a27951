/** `nodekiln facts` */
import { textOption, rootOption, type Verb } from './verb.ts';
import { table } from './table.ts';

export const factsVerb: Verb = {
  spec: {
    name: 'facts',
    summary: 'print what is known about this machine before anything is planned',
    arguments: [],
    options: [rootOption],
    examples: ['nodekiln facts', 'nodekiln facts --json | jq .data.cache'],
    kind: 'Facts',
    root: 'never',
  },
  async run({ options, terminal }) {
    const [{ createLinuxHost }, { observeFacts }, { redact }] = await Promise.all([
      import('../host/linux/host.ts'),
      import('../host/facts.ts'),
      import('../config/inspect.ts'),
    ]);
    const host = createLinuxHost({ root: textOption(options, 'root') ?? '/' });
    try {
      const facts = redact(await observeFacts(host));
      const rows = [...leaves(facts, '')].map(([path, value]) => [path, value]);
      return { data: facts, text: table([{ title: 'FACT' }, { title: 'VALUE' }], rows, terminal) };
    } finally {
      await host.close();
    }
  },
};

function* leaves(value: unknown, path: string): Generator<[string, string]> {
  if (Array.isArray(value)) yield [path, value.join(', ')];
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* leaves(inner, path === '' ? key : `${path}.${key}`);
  } else if (typeof value === 'string') yield [path, value];
  else if (value !== undefined) yield [path, JSON.stringify(value)];
}
