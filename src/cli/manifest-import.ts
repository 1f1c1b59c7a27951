/** `nodekiln manifest import FORMAT FILE` */
import { apiVersion } from './output.ts';
import { readDocuments } from './documents.ts';
import { requireApart } from './output-file.ts';
import { requireFormat, dataOrPlace } from './manifest-formats.ts';
import { textOption, type Verb } from './verb.ts';

export const manifestImportVerb: Verb = {
  spec: {
    name: 'manifest import',
    summary: 'make an Inventory of another tool’s inventory, with every fact of it',
    arguments: [
      { name: 'FORMAT', about: 'agentbaker (components.json)', required: true },
      { name: 'FILE', about: 'the other tool’s inventory', required: true },
    ],
    options: [{ flag: '--output', value: 'FILE', about: 'write the Inventory there instead of to stdout' }],
    examples: ['nodekiln manifest import agentbaker components.json --output inventory.json'],
    kind: 'Inventory',
    root: 'never',
  },
  async run({ arguments: [format = '', file = ''], options }) {
    requireFormat(format);
    const output = textOption(options, 'output');
    requireApart({ reads: [file], writes: [output] });
    const [source] = await readDocuments([file]);
    const { importAgentbaker } = await import('../artifacts/inventory/import-agentbaker.ts');
    const spec = importAgentbaker(source?.text ?? '', file);
    const document = { apiVersion, kind: 'Inventory', spec };
    return { data: document, text: await dataOrPlace(document, output) };
  },
};
