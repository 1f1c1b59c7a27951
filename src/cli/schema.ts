/** `nodekiln schema [KIND]` */
import { NodekilnError } from '../errors.ts';
import { table } from './table.ts';
import type { Verb } from './verb.ts';

export const schemaVerb: Verb = {
  spec: {
    name: 'schema',
    summary: 'print the JSON Schema of a kind of document, or list the kinds',
    arguments: [{ name: 'KIND', about: 'AgentConfig, ImageManifest, Inventory, NodeConfig', required: false }],
    options: [],
    examples: ['nodekiln schema', 'nodekiln schema NodeConfig > node-config.schema.json'],
    kind: 'Schema',
    root: 'never',
  },
  async run({ arguments: [kind], terminal }) {
    const [{ kinds, isKind }, { jsonSchema }, { nearest }, { apiVersion }] = await Promise.all([
      import('../config/load.ts'),
      import('../config/json-schema.ts'),
      import('../config/words.ts'),
      import('./output.ts'),
    ]);
    const names = Object.keys(kinds);
    if (kind === undefined) {
      return {
        data: names.map((name) => ({ apiVersion, kind: name })),
        text: table(
          [{ title: 'KIND' }, { title: 'APIVERSION' }],
          names.map((name) => [name, apiVersion]),
          terminal,
        ),
      };
    }
    if (!isKind(kind)) {
      const near = nearest(kind, names);
      throw new NodekilnError('NK_USAGE', `there is no kind ${kind}`, {
        hint: near === undefined ? `Kinds are ${names.join(', ')}.` : `Did you mean ${near}?`,
      });
    }
    const schema = await jsonSchema(kind);
    return { data: schema, text: JSON.stringify(schema, undefined, 2) };
  },
};
