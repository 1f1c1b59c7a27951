/** `nodekiln config dump FILE…` */
import { shorten } from '../inspect/format.ts';
import { readDocuments } from './documents.ts';
import { table } from './table.ts';
import type { Verb } from './verb.ts';

export const configDumpVerb: Verb = {
  spec: {
    name: 'config dump',
    summary: 'show every value of the configuration that documents make, and where it comes from',
    description: 'Documents merge in the order given. Secrets are redacted.',
    arguments: [{ name: 'FILE', about: 'NodeConfig documents (YAML or JSON)', required: true, many: true }],
    options: [],
    examples: [
      'nodekiln config dump /etc/nodekiln/conf.d/*.yaml',
      'nodekiln config dump node.yaml --json | jq .data.config',
    ],
    kind: 'ConfigDump',
    root: 'never',
  },
  async run({ arguments: files, terminal }) {
    const sources = await readDocuments(files);
    const { configDump, parseDocument } = await import('../index.ts');
    const loaded = await Promise.all(sources.map((source) => parseDocument(source, 'NodeConfig')));
    const dump = configDump(loaded);
    const rows = dump.entries.map((entry) => [
      entry.path,
      terminal.wide ? valueText(entry.value) : shorten(valueText(entry.value), 60),
      entry.origin,
    ]);
    return { data: dump, text: table([{ title: 'PATH' }, { title: 'VALUE' }, { title: 'FROM' }], rows, terminal) };
  },
};

function valueText(value: unknown): string {
  return typeof value === 'string' && value !== '' && !value.includes('\n') ? value : JSON.stringify(value);
}
