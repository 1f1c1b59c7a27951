/** `nodekiln artifact fetch ADDRESS --to PATH` */
import { readFile } from 'node:fs/promises';
import { parseDuration } from '../config/duration.ts';
import { errnoOf, NodekilnError } from '../errors.ts';
import { textOption, type Options, type Verb } from './verb.ts';

export const artifactFetchVerb: Verb = {
  spec: {
    name: 'artifact fetch',
    summary: 'fetch an artifact from a web server or a folder, checked, whole or not at all',
    description:
      'Resumes and retries within the budget. Uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY. The file gets its name when its digest was checked.',
    arguments: [{ name: 'ADDRESS', about: 'a URL or a path', required: true }],
    options: [
      { flag: '--to', value: 'PATH', about: 'where to put it', required: true },
      { flag: '--digest', value: 'DIGEST', about: 'refuse anything with another digest (sha256:…)' },
      { flag: '--ca-file', value: 'FILE', about: 'certificates (PEM) trusted instead of the machine’s' },
      { flag: '--budget', value: 'DURATION', about: 'for everything, retries included', default: '5m' },
    ],
    examples: ['nodekiln artifact fetch https://example.org/kubelet.deb --to ./kubelet.deb'],
    kind: 'FetchedArtifact',
    root: 'never',
    endsItself: true,
  },
  async run({ arguments: [address = ''], options, signal, onEvent }) {
    const [{ fetchTo }, { createHttpClient, shownUrl }, { createLinuxClock }, { progressText }] = await Promise.all([
      import('../artifacts/fetch-to.ts'),
      import('../artifacts/sources/http-client.ts'),
      import('../host/linux/clock.ts'),
      import('../kinds/binary/artifacts.ts'),
    ]);
    const ca = await certificates(options);
    const client = createHttpClient({ proxy: 'environment', ...(ca !== undefined && { ca }) });
    const digest = textOption(options, 'digest');
    const isUrl = /^https?:/i.test(address);
    const step = `fetch ${isUrl ? shownUrl(address) : address}`;
    onEvent({ type: 'start', step });
    try {
      const fetched = await fetchTo(
        {
          ...(isUrl ? { type: 'http', url: address } : { type: 'file', path: address }),
          ...(digest !== undefined && { digest }),
        },
        textOption(options, 'to') ?? '',
        {
          base: process.cwd(),
          client,
          clock: createLinuxClock(),
          budgetMs: budget(options),
          signal,
          onProgress: (transfer) => onEvent({ type: 'progress', step, message: progressText(transfer), transfer }),
        },
      );
      return { data: fetched, text: `${fetched.path}: ${fetched.size} bytes, ${fetched.digest}` };
    } finally {
      client.close();
    }
  },
};

function budget(options: Options): number {
  const text = textOption(options, 'budget') ?? '';
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new NodekilnError('NK_USAGE', `--budget ${text} is no duration`, { cause, hint: 'Write it like 90s or 5m.' });
  }
}

async function certificates(options: Options): Promise<string | undefined> {
  const path = textOption(options, 'ca-file');
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} cannot be read: ${errnoOf(cause) ?? ''}`, { cause });
  }
}
