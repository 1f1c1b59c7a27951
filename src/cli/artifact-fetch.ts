/** `nodekiln artifact fetch ADDRESS --to PATH` */
import { existsSync } from 'node:fs';
import { join, resolve as absolute } from 'node:path';
import { asReference } from '../model/reference.ts';
import type { PartsPlace } from '../artifacts/sources/parts.ts';
import type { SourceSpec } from '../artifacts/sources/source.ts';
import { addressFault } from '../config/address.ts';
import { parseDuration } from '../config/duration.ts';
import { NodekilnError } from '../errors.ts';
import type { Program } from '../host/port.ts';
import { archOption, architectureOption } from './architecture.ts';
import { certificates } from './certificates.ts';
import { requireApart, requireFolderOf } from './output-file.ts';
import { onThisMachine } from './this-machine.ts';
import { flagOption, textOption, type Options, type Verb } from './verb.ts';

export const artifactFetchVerb: Verb = {
  spec: {
    name: 'artifact fetch',
    summary: 'fetch an artifact from a web server, a registry or a folder, checked, whole or not at all',
    description:
      'Resumes and retries within the budget, and goes on where an earlier run was interrupted (what came waits for a week in ~/.cache/nodekiln/parts). Uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and the logins of container tools. The file gets its name when its digest was checked; one of the digest that is asked for is left alone.',
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
      { flag: '--wait', about: 'within the budget, also for a server or name that is not there yet' },
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
    const file = spec.type === 'file' ? spec.path : undefined;
    requireApart({ reads: [file, textOption(options, 'ca-file')], writes: [to] });
    requireFolderOf(to);
    const step = `fetch ${spec.type === 'http' ? shownUrl(address) : address}`;
    onEvent({ type: 'start', step });
    const fetched = await onThisMachine((host) => {
      const { net, program } = host;
      return fetchTo(spec, to, {
        ...host,
        base: program.workingDirectory,
        client: createHttpClient({ net, environment: program.environment, ...(ca !== undefined && { ca }) }),
        budgetMs: budget(options),
        ...partsOf(program),
        ...(!flagOption(options, 'wait') && {
          impatience: { hint: 'Correct the address, or say --wait when the server comes up later.' },
        }),
        signal,
        onProgress: (transfer) => onEvent({ type: 'progress', step, message: progressText(transfer), transfer }),
      });
    });
    const was = fetched.outcome === 'unchanged' ? ' (there already)' : '';
    return { data: fetched, text: `${fetched.path}: ${fetched.size} bytes, ${fetched.digest}${was}` };
  },
};

function specOf(address: string, options: Options): SourceSpec {
  const digest = textOption(options, 'digest');
  if (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new NodekilnError('NK_USAGE', `--digest ${digest} is no digest`, {
      hint: 'Write sha256: and 64 hexadecimal digits.',
    });
  const expected = digest === undefined ? {} : { digest };
  if (/^https?:\/\//i.test(address)) return { type: 'http', url: address, ...expected };
  // What is there under the name wins over what looks like a reference.
  if (existsSync(address) || isPath(address)) return { type: 'file', path: address, ...expected };
  if (!asReference(address)) throw noAddress(address);
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

/** What nobody takes for a registry's: in a folder that is named, or a name without tag and digest. */
function isPath(address: string): boolean {
  return /^(?:\.{0,2}\/|[^:@]*$)/.test(address) && !/^[a-z][a-z0-9+.-]*:\/\//i.test(address);
}

function noAddress(address: string): NodekilnError {
  const fault = addressFault(address);
  return new NodekilnError(
    'NK_USAGE',
    `ADDRESS is no URL and no OCI reference${fault === undefined ? '' : `: ${fault}`}`,
    { hint: 'Write https://… or registry.example/team/kubelet:v1.34.3; a file of this machine as ./NAME or /PATH.' },
  );
}

/** As the XDG base directory specification has it; nowhere when nobody says where. */
function partsOf({ environment, owner }: Program): { parts?: PartsPlace } {
  const { XDG_CACHE_HOME: cache, HOME: home } = environment;
  const base = cache?.startsWith('/') ? cache : home?.startsWith('/') ? join(home, '.cache') : undefined;
  return base === undefined ? {} : { parts: { folder: join(base, 'nodekiln', 'parts'), owner } };
}

function budget(options: Options): number {
  const text = textOption(options, 'budget') ?? '';
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new NodekilnError('NK_USAGE', `--budget ${text} is no duration`, { cause, hint: 'Write it like 90s or 5m.' });
  }
}
