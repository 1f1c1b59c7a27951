/** `nodekiln artifact match TOOL VERSION` */
import { NodekilnError } from '../errors.ts';
import { rootOption, textOption, type Verb } from './verb.ts';

export const artifactMatchVerb: Verb = {
  spec: {
    name: 'artifact match',
    summary: 'show which cached binary a request would get, or why none fits',
    arguments: [
      { name: 'TOOL', about: 'kubelet, kubectl, …', required: true },
      { name: 'VERSION', about: 'as a NodeConfig asks for it', required: true },
    ],
    options: [rootOption],
    examples: ['nodekiln artifact match kubelet 1.34.3', 'nodekiln artifact match kubelet 1.34.3 --root /srv/image'],
    kind: 'CacheMatch',
    root: 'never',
  },
  async run({ arguments: [tool = '', version = ''], options }) {
    const [{ createLinuxHost }, { cachedPath, findCached, readIndex }] = await Promise.all([
      import('../host/linux/host.ts'),
      import('../artifacts/cache.ts'),
    ]);
    const host = createLinuxHost({ root: textOption(options, 'root') ?? '/' });
    try {
      const lookup = findCached(await readIndex(host.files), { tool, version });
      if (lookup.found) {
        const file = cachedPath(lookup.entry.tool, lookup.entry.key);
        return { data: { ...lookup, file }, text: `${file} (${lookup.entry.version}, ${lookup.entry.digest})` };
      }
      return {
        data: lookup,
        text: '',
        error: new NodekilnError('NK_ARTIFACT_NONE_USABLE', `nothing in the cache is ${tool} ${version}`, {
          lines: lookup.why,
        }),
      };
    } finally {
      await host.close();
    }
  },
};
