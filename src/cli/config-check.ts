/** `nodekiln config check FILE…` */
import { NodekilnError, type ErrorCode, type Problem } from '../errors.ts';
import { count } from '../model/count.ts';
import { readDocuments } from './documents.ts';
import { formatRemarks, paragraphs } from './output.ts';
import type { Verb } from './verb.ts';

export const configCheckVerb: Verb = {
  spec: {
    name: 'config check',
    summary: 'check documents: every problem with file, line, column and path',
    description:
      'NodeConfig documents are also checked together, as they merge in the order given and as a typical host would get them. Each OperatingSystemConfig is checked by itself; what it says that nobody knows is a warning.',
    arguments: [{ name: 'FILE', about: 'documents (YAML or JSON); - is standard input', required: true, many: true }],
    options: [],
    examples: [
      'nodekiln config check node.yaml',
      'nodekiln config check image.yaml conf.d/*.yaml',
      'helm template node | nodekiln config check -',
    ],
    kind: 'ConfigCheck',
    root: 'never',
  },
  async run({ arguments: files, terminal }) {
    const sources = await readDocuments(files);
    const { checkDocuments } = await import('../index.ts');
    const { problems, warnings, notes } = await checkDocuments(sources);
    const [first] = problems;
    const data = { files, problems, warnings, notes };
    const valid = `${count(files.length, 'document')} valid`;
    if (!first) return { data, text: paragraphs(formatRemarks({ warnings, notes }, terminal.style), valid) };
    return {
      data,
      text: '',
      error: new NodekilnError(
        commonCode(problems),
        `${count(problems.length, 'problem')} in ${count(files.length, 'document')}`,
        { problems, ...(first.place && { place: first.place }) },
      ),
    };
  },
};

/** Of all problems when they are of one kind. */
function commonCode([first, ...others]: readonly Problem[]): ErrorCode {
  const isCommon = first?.code !== undefined && others.every(({ code }) => code === first.code);
  return isCommon ? first.code : 'NK_DOCUMENT_INVALID';
}
