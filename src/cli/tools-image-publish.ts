/** `nodekiln tools-image publish IMAGES` */
import { resolve as absolute } from 'node:path';
import { NodekilnError } from '../errors.ts';
import type { Publication } from '../tools-image/publish.ts';
import { readDocuments } from './documents.ts';
import { requireApart } from './output-file.ts';
import { paragraphs } from './output.ts';
import { table, type Look } from './table.ts';
import { flagOption, textOption, type Answer, type Verb } from './verb.ts';

export const toolsImagePublishVerb: Verb = {
  spec: {
    name: 'tools-image publish',
    summary: 'write the metadata document of a list of tools images',
    description:
      'The revision is a hash of the images’ digests. Versions that are no longer listed become deprecated with their last tag and digest. Push the tags printed before the document.',
    arguments: [{ name: 'IMAGES', about: 'a ToolsImages document (YAML or JSON)', required: true }],
    options: [
      { flag: '--output', value: 'FILE', about: 'write the document here; it is also the previous one' },
      { flag: '--previous', value: 'FILE', about: 'the document published before, when it is not the output' },
      { flag: '--check', about: 'write nothing; fail when the output would change' },
    ],
    examples: [
      'nodekiln tools-image publish images.yaml --output versions.json',
      'nodekiln tools-image publish images.yaml --output versions.json --check',
    ],
    kind: 'ToolsImagePublication',
    root: 'never',
  },
  async run({ arguments: [file = ''], options, terminal }) {
    const output = textOption(options, 'output');
    const check = flagOption(options, 'check');
    requireApart({ reads: [file], writes: [output] });
    if (check && output === undefined)
      throw new NodekilnError('NK_USAGE', '--check needs --output: the document to compare with');
    const [{ createLinuxHost }, { parseAs }, { publish }, { toolsImages }, { parseMetadata }] = await Promise.all([
      import('../host/linux/host.ts'),
      import('../config/parse-as.ts'),
      import('../tools-image/publish.ts'),
      import('../tools-image/schema-images.ts'),
      import('../tools-image/metadata.ts'),
    ]);
    const [source] = await readDocuments([file]);
    if (!source) throw new NodekilnError('NK_USAGE', 'no images are given');
    const images = await parseAs(source, toolsImages, 'ToolsImages');
    const host = createLinuxHost();
    try {
      const existing = output === undefined ? undefined : await readExisting(output);
      const named = textOption(options, 'previous');
      const previous = named === undefined ? existing : (await readDocuments([named]))[0]?.text;
      const publication = publish(
        images,
        previous === undefined ? undefined : parseMetadata(previous, named ?? output ?? ''),
      );
      const changed = existing !== publication.text;
      if (output !== undefined && !check && changed)
        await host.files.write([
          {
            type: 'file',
            path: absolute(output),
            content: Buffer.from(publication.text),
            mode: 0o644,
            uid: process.getuid?.() ?? 0,
            gid: process.getgid?.() ?? 0,
          },
        ]);
      return report(publication, { output, changed, check }, terminal);
    } finally {
      await host.close();
    }
  },
};

/** Undefined when there is none yet; one that is there and cannot be read must not be taken for none. */
async function readExisting(file: string): Promise<string | undefined> {
  const { stat } = await import('node:fs/promises');
  const present = await stat(file).then(
    () => true,
    () => false,
  );
  return present ? (await readDocuments([file]))[0]?.text : undefined;
}

function report(
  publication: Publication,
  about: { output: string | undefined; changed: boolean; check: boolean },
  look: Look,
): Answer {
  const { text, ...rest } = publication;
  const { output, changed, check } = about;
  const document: unknown = JSON.parse(text);
  if (output === undefined) return { data: { ...rest, document }, text: text.trimEnd() };
  const verdict = changed ? (check ? 'would change' : 'written') : 'unchanged';
  const answer = {
    data: { ...rest, output, changed, document },
    text: paragraphs(
      `${output}: ${verdict}, revision ${publication.revision}`,
      table(
        [{ title: 'TAG' }, { title: 'DIGEST', whole: true }],
        publication.tags.map(({ tag, digest }) => [tag, digest]),
        look,
      ),
    ),
  };
  if (!check || !changed) return answer;
  return {
    ...answer,
    error: new NodekilnError('NK_CHECK_DIFFERENCES', `${output} is not what the images make`, {
      hint: 'Run the command without --check.',
    }),
  };
}
