/** `nodekiln manifest export FORMAT FILE` */
import { readDocuments } from './documents.ts';
import { requireApart } from './output-file.ts';
import { readInventory, requireFormat, dataOrPlace } from './manifest-formats.ts';
import { textOption, type Verb } from './verb.ts';

export const manifestExportVerb: Verb = {
  spec: {
    name: 'manifest export',
    summary: 'write an Inventory in another tool’s format, with every fact of it',
    arguments: [
      { name: 'FORMAT', about: 'agentbaker (components.json)', required: true },
      { name: 'FILE', about: 'an Inventory (YAML or JSON)', required: true },
    ],
    options: [{ flag: '--output', value: 'FILE', about: 'write it there instead of to stdout' }],
    examples: ['nodekiln manifest export agentbaker inventory.json --output components.json'],
    kind: 'ExportedInventory',
    root: 'never',
  },
  async run({ arguments: [format = '', file = ''], options }) {
    requireFormat(format);
    const output = textOption(options, 'output');
    requireApart({ reads: [file], writes: [output] });
    const [source] = await readDocuments([file]);
    const { exportAgentbaker } = await import('../artifacts/inventory/import-agentbaker.ts');
    const exported = exportAgentbaker(await readInventory({ file, text: source?.text ?? '' }));
    return { data: exported, text: await dataOrPlace(exported, output) };
  },
};
