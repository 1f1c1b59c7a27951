/** `nodekiln plan [--facts FILE] [DOCUMENT…]` */
import { NodekilnError } from '../errors.ts';
import { program } from '../host/program.ts';
import { resolve } from '../model/path.ts';
import type { PlanReport } from '../inspect/plan-report.ts';
import { readDocuments } from './documents.ts';
import { planText } from './plan-text.ts';
import { textOption, type Verb } from './verb.ts';

export const planVerb: Verb = {
  spec: {
    name: 'plan',
    summary: 'show what a boot would do now: every step, why, where it stands and what restarts',
    description:
      'Changes nothing. Without documents those of the host are planned. With --facts the plan is that of another machine on which nothing is set up yet, and may be made anywhere. Secrets are never shown.',
    arguments: [
      {
        name: 'DOCUMENT',
        about: 'documents instead of those on the host: NodeConfigs, or one OperatingSystemConfig',
        required: false,
        many: true,
      },
    ],
    options: [
      { flag: '--facts', value: 'FILE', about: 'plan for the machine these facts are of (`nodekiln facts --json`)' },
    ],
    examples: [
      'nodekiln plan',
      'nodekiln plan new-node.yaml',
      'nodekiln plan --json | jq .data.impact',
      'nodekiln plan --facts facts.json node.yaml',
    ],
    kind: 'Plan',
    root: 'host',
    elsewhere: '--facts',
  },
  async run({ arguments: documents, options, terminal }) {
    const factsFile = textOption(options, 'facts');
    if (factsFile !== undefined) {
      const report = await planElsewhere(documents, factsFile);
      return { data: report, text: planText(report, terminal) };
    }
    const [{ planBoot }, { planReport }, { lookAtLocalSources }] = await Promise.all([
      import('../boot/boot.ts'),
      import('../inspect/plan-report.ts'),
      import('../inspect/local-sources.ts'),
    ]);
    const { prepared, warnings, notes, looked } = await planBoot({
      documents: documents.map((path) => resolve(program.workingDirectory, path)),
      look: (host, { plan }) => lookAtLocalSources(host, plan.changes),
    });
    const report = planReport(prepared, { warnings, notes, ...(looked && { looked }) });
    return { data: report, text: planText(report, terminal) };
  },
};

/** The plan for a machine that is not at hand. */
async function planElsewhere(documents: readonly string[], factsFile: string): Promise<PlanReport> {
  if (documents.length === 0)
    throw new NodekilnError('NK_USAGE', 'with --facts a document is wanted: nothing is read from this host');
  const [{ plan, factsFromJson }, [facts], texts] = await Promise.all([
    import('../index.ts'),
    readDocuments([factsFile]),
    readDocuments(documents),
  ]);
  return plan({ documents: texts, facts: factsFromJson(parseFacts(facts?.text ?? '', factsFile), factsFile) });
}

function parseFacts(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is no JSON`, { cause, place: { file } });
  }
}
