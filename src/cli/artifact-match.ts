/** `nodekiln artifact match --component NAME --version VERSION` */
import { resolve as absolute } from 'node:path';
import { NodekilnError } from '../errors.ts';
import { archOption, architectureOption } from './architecture.ts';
import { onThisMachine } from './this-machine.ts';
import { oneLine } from './printing.ts';
import { rootOption, textOption, type Answer, type Options, type Verb } from './verb.ts';

const kinds = ['deb', 'rpm', 'sysext'] as const;

export const artifactMatchVerb: Verb = {
  spec: {
    name: 'artifact match',
    summary: 'show which build a request would get, out of the cache or a folder, or why none fits',
    description:
      'Packages are judged by their own metadata, whatever their files are called; extensions by name. Never a neighbour: 1.34.10 is not 1.34.1.',
    arguments: [],
    options: [
      { flag: '--component', value: 'NAME', about: 'kubelet, kubectl, …', required: true },
      { flag: '--version', value: 'VERSION', about: 'as a NodeConfig asks for it', required: true },
      archOption,
      { flag: '--kind', value: 'KIND', about: 'what the folder holds', choices: kinds },
      { flag: '--dir', value: 'DIR', about: 'look in this folder instead of the cache' },
      rootOption,
    ],
    examples: [
      'nodekiln artifact match --component kubelet --version 1.34.3',
      'nodekiln artifact match --component kubelet --version 1.34.1 --arch amd64 --kind deb --dir /opt/kubelet/downloads --json',
    ],
    kind: 'BuildMatch',
    root: 'never',
  },
  async run({ options }) {
    const request = {
      component: textOption(options, 'component') ?? '',
      version: textOption(options, 'version') ?? '',
      architecture: architectureOption(options),
    };
    const directory = textOption(options, 'dir');
    return directory === undefined ? matchCache(request, options) : matchFolder(request, directory, options);
  },
};

interface Request {
  readonly component: string;
  readonly version: string;
  readonly architecture: string;
}

async function matchFolder(request: Request, directory: string, options: Options): Promise<Answer> {
  const kind = kinds.find((name) => name === textOption(options, 'kind'));
  if (kind === undefined)
    throw new NodekilnError('NK_USAGE', '--dir needs --kind', { hint: `Kinds are ${kinds.join(', ')}.` });
  const { matchDirectory } = await import('../artifacts/match-directory.ts');
  const { chosen, passedOver, hint } = await onThisMachine((host) =>
    matchDirectory(host, absolute(directory), { ...request, kind }),
  );
  const data = { type: chosen ? 'match' : 'none', ...(chosen && { build: chosen }), passedOver };
  if (chosen)
    return { data, text: oneLine(`${chosen.file} (${chosen.name} ${chosen.version}, ${chosen.architecture})`) };
  return {
    data,
    text: '',
    error: none(request, directory, { passedOver: passedOver.map(({ file, why }) => `${file} ${why}`), hint }),
  };
}

async function matchCache(request: Request, options: Options): Promise<Answer> {
  const [{ createLinuxHost }, { cachedPath, findCached, readIndex }] = await Promise.all([
    import('../host/linux/host.ts'),
    import('../artifacts/cache/cache.ts'),
  ]);
  const host = createLinuxHost({ root: textOption(options, 'root') ?? '/' });
  try {
    const { component: tool, version, architecture } = request;
    const lookup = findCached(await readIndex(host.files), { tool, version, architecture });
    if (!lookup.found) {
      const data = { type: 'none', passedOver: lookup.why };
      return { data, text: '', error: none(request, 'the cache', { passedOver: lookup.why }) };
    }
    const file = cachedPath(lookup.entry.tool, lookup.entry.key);
    const data = { type: 'match', build: { ...lookup.entry, file } };
    return { data, text: oneLine(`${file} (${lookup.entry.version}, ${lookup.entry.digest})`) };
  } finally {
    await host.close();
  }
}

function none(
  { component, version, architecture }: Request,
  where: string,
  { passedOver, hint }: { passedOver: readonly string[]; hint?: string | undefined },
): NodekilnError {
  return new NodekilnError(
    'NK_ARTIFACT_NONE_USABLE',
    `nothing in ${where} is ${component} ${version} for ${architecture}`,
    { lines: passedOver, ...(hint !== undefined && { hint: `${hint}.` }) },
  );
}
