/** `nodekiln verify` */
import { NodekilnError } from '../errors.ts';
import { writeOutput } from './output-file.ts';
import { count } from '../model/count.ts';
import type { VerifyReport } from '../inspect/verify/verify.ts';
import { hostRoot, liveOption } from './live.ts';
import { paragraphs } from './output.ts';
import { oneLine } from './printing.ts';
import { table, type Look } from './table.ts';
import { flagOption, textOption, type Verb } from './verb.ts';

export const verifyVerb: Verb = {
  spec: {
    name: 'verify',
    summary: 'check an image against the lock that its bake left in it',
    description:
      'Binaries, packages, container images, units, files, the cache, and that nothing of one machine’s identity is left. Every check runs; the exit status is of class check when one failed.',
    arguments: [],
    options: [
      { flag: '--root', value: 'DIR', about: 'the root folder of the image' },
      liveOption,
      { flag: '--trust-seals', about: 'do not read what its seal (or for blobs its size) says is unchanged' },
      { flag: '--all', about: 'list checks that passed, too' },
      { flag: '--junit', value: 'FILE', about: 'write the results as JUnit XML' },
    ],
    examples: ['nodekiln verify --root /srv/image', 'nodekiln verify --live --junit results.xml'],
    kind: 'VerifyReport',
    root: 'always',
    endsItself: true,
  },
  async run({ options, terminal }) {
    const root = hostRoot(options, 'an image is what is verified mostly');
    const [{ verify }, { junitXml }] = await Promise.all([
      import('../inspect/verify/verify.ts'),
      import('../inspect/verify/junit.ts'),
    ]);
    const report = await verify({ root, trustSeals: flagOption(options, 'trust-seals') });
    const junit = textOption(options, 'junit');
    if (junit !== undefined) await writeOutput(junit, junitXml(report));
    return {
      data: report,
      text: verifyText(report, { look: terminal, all: flagOption(options, 'all') }),
      ...(!report.ok && {
        error: new NodekilnError(
          'NK_CHECK_DIFFERENCES',
          `${count(report.summary.failed, 'check')} of ${report.root} failed`,
        ),
      }),
    };
  },
};

function verifyText(report: VerifyReport, { look, all }: { look: Look; all: boolean }): string {
  const shown = report.checks.filter(({ status }) => all || status === 'failed');
  const { passed, failed, skipped } = report.summary;
  const { name, os, release, architecture } = report.image;
  return paragraphs(
    table(
      [{ title: 'RESULT' }, { title: 'AREA' }, { title: 'SUBJECT' }, { title: 'PROPERTY' }, { title: 'WHY' }],
      shown.map(({ status, area, subject, property, detail }) => [status, area, subject, property, detail ?? '']),
      look,
    ),
    oneLine(
      `${name || 'image'} ${os}/${release} ${architecture} in ${report.root}: ${passed} passed, ${failed} failed, ${skipped} skipped`,
    ),
  );
}
