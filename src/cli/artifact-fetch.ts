/** `nodekiln artifact fetch ADDRESS --to PATH` */
import { existsSync } from 'node:fs';
import { resolve as absolute } from 'node:path';
import { asReference } from '../artifacts/reference.ts';
import type { SourceSpec } from '../artifacts/sources/source.ts';
import { parseDuration } from '../config/duration.ts';
import { NodekilnError } from '../errors.ts';
import { archOption, architectureOption } from './architecture.ts';
import { certificates } from './certificates.ts';
import { onThisMachine } from './this-machine.ts';
import { flagOption, textOption, type Options, type Verb } from './verb.ts';

export const artifactFetchVerb: Verb = {
  spec: {
    name: 'artifact fetch',
    summary: 'fetch an artifact from a web server, a registry or a folder, checked, whole or not at all',
    description:
      'Resumes and retries within the budget. Uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and the logins of container tools. The file gets its name when its digest was checked.',
    arguments: [
      { name: 'ADDRESS', about: 'a URL, an OCI reference with registry and tag or digest, or a path', required: true },
    ],
    options: [
      { flag: '--to', value: 'PATH', about: 'where to put it', required: true },
      { flag: '--digest', value: 'DIGEST', about: 'refuse anything with another digest (sha256:…)' },
      { flag: '--file', value: 'TITLE', about: 'which file of an OCI artifact that holds several' },
      { flag: '--member', value: 'PATH', about: 'one file out of a container image' },
      archOption,
      { flag: '--plain-http', about: 'speak plain HTTP with the registry' },
      { flag: '--ca-file', value: 'FILE', about: 'certificates (PEM) trusted instead of the machine’s' },
      { flag: '--budget', value: 'DURATION', about: 'for everything, retries included', default: '5m' },
    ],
    examples: [
      'nodekiln artifact fetch https://example.org/kubelet.deb --to ./kubelet.deb',
      'nodekiln artifact fetch registry.example.org/tools/kubelet:v1.34.3 --arch arm64 --to ./kubelet',
      'nodekiln artifact fetch registry.k8s.io/kube-proxy:v1.34.3 --member usr/local/bin/kube-proxy --to ./kube-proxy',
    ],
    kind: 'FetchedArtifact',
    root: 'never',
    endsItself: true,
  },
  async run({ arguments: [address = ''], options, signal, onEvent }) {
    const [{ fetchTo }, { createHttpClient, shownUrl }, { progressText }] = await Promise.all([
      import('../artifacts/fetch-to.ts'),
      import('../artifacts/sources/http-client.ts'),
      import('../artifacts/sources/progress.ts'),
    ]);
    const ca = await certificates(options);
    const spec = specOf(address, options);
    const to = absolute(textOption(options, 'to') ?? '');
    const step = `fetch ${spec.type === 'http' ? shownUrl(address) : address}`;
    onEvent({ type: 'start', step });
    const fetched = await onThisMachine((host) => {
      const { net, program } = host;
      return fetchTo(spec, to, {
        ...host,
        base: program.workingDirectory,
        client: createHttpClient({ net, environment: program.environment, ...(ca !== undefined && { ca }) }),
        budgetMs: budget(options),
        signal,
        onProgress: (transfer) => onEvent({ type: 'progress', step, message: progressText(transfer), transfer }),
      });
    });
    return { data: fetched, text: `${fetched.path}: ${fetched.size} bytes, ${fetched.digest}` };
  },
};

function specOf(address: string, options: Options): SourceSpec {
  const digest = textOption(options, 'digest');
  const expected = digest === undefined ? {} : { digest };
  if (/^https?:/i.test(address)) return { type: 'http', url: address, ...expected };
  // What is there under the name wins over what looks like a reference.
  if (!asReference(address) || existsSync(address)) return { type: 'file', path: address, ...expected };
  const common = {
    reference: address,
    plainHttp: flagOption(options, 'plain-http'),
    architecture: architectureOption(options),
    ...expected,
  };
  const [member, file] = [textOption(options, 'member'), textOption(options, 'file')];
  if (member !== undefined) return { type: 'image-file', member, ...common };
  return { type: 'oci', ...common, ...(file !== undefined && { file }) };
}

function budget(options: Options): number {
  const text = textOption(options, 'budget') ?? '';
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new NodekilnError('NK_USAGE', `--budget ${text} is no duration`, { cause, hint: 'Write it like 90s or 5m.' });
  }
}
