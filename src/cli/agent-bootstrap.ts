/** `nodekiln agent bootstrap`: what user data calls on a machine that no image was baked for. */
import { resolve as absolute } from 'node:path';
import type { BootstrapReport, BootstrapStep } from '../agent/bootstrap.ts';
import type { ProgramOrigin } from '../agent/program-origin.ts';
import { parseDuration } from '../config/duration.ts';
import { NodekilnError } from '../errors.ts';
import { certificates } from './certificates.ts';
import { onThisMachine } from './this-machine.ts';
import { lines } from './output.ts';
import { flagOption, textOption, type Options, type Verb } from './verb.ts';

export const agentBootstrapVerb: Verb = {
  spec: {
    name: 'agent bootstrap',
    summary: 'make a machine that was not baked one that an agent tends',
    description:
      'Fetches nodekiln by digest and installs it below /opt/nodekiln, puts it and /opt/bin on the PATH of who logs in, writes /etc/nodekiln/agent.yaml and the unit of the agent, starts it and waits until it has its certificate. What is there already stays. Disables nodekiln-agent-bootstrap.service; once all is done, another run with the same digest does nothing, and one with another digest puts a newer program in the place of the older and restarts the agent; when that does not come up the older one comes back, and the digest is not taken again.',
    arguments: [],
    options: [
      {
        flag: '--config',
        value: 'FILE',
        about: 'the AgentConfig; only root may read one with a token',
        required: true,
      },
      { flag: '--image', value: 'REFERENCE', about: 'the OCI artifact with nodekiln, with its digest; or --url' },
      {
        flag: '--mirrors',
        value: 'URL,…',
        about: 'with --image: asked before the registry, in this order; https://mirror.example.org',
      },
      { flag: '--plain-http', about: 'with --image: speak plain HTTP with the registry' },
      {
        flag: '--url',
        value: 'URL,…',
        about: 'instead of --image: addresses of the tar archive with nodekiln, asked in this order',
      },
      { flag: '--digest', value: 'DIGEST', about: 'with --url: of the archive; sha256:…' },
      {
        flag: '--ca-file',
        value: 'FILE',
        about: 'certificates (PEM) the registry or web server is trusted by, instead of the machine’s',
      },
      { flag: '--no-path', about: 'leave the PATH of login shells and sudo alone, and /opt/bin without nodekiln' },
      { flag: '--budget', value: 'DURATION', about: 'for fetching, retries included', default: '5m' },
      {
        flag: '--certificate-timeout',
        value: 'DURATION',
        about: 'how long somebody may take to approve the agent’s certificate',
        default: '15m',
      },
    ],
    examples: [
      'nodekiln agent bootstrap --config /run/agent.yaml --image registry.example.org/nodekiln@sha256:… --ca-file /etc/registry-ca.pem',
      'nodekiln agent bootstrap --config /run/agent.yaml --url https://files.example.org/nodekiln-0.1.0-amd64.tar --digest sha256:…',
    ],
    kind: 'BootstrapReport',
    root: 'always',
    systemd: true,
    endsItself: true,
  },
  async run({ options, signal, onEvent }) {
    const [{ bootstrapAgent }, { createHttpClient }] = await Promise.all([
      import('../agent/bootstrap.ts'),
      import('../artifacts/sources/http-client.ts'),
    ]);
    const origin = originOf(options);
    const ca = await certificates(options);
    const [budgetMs, certificateMs] = [duration(options, 'budget'), duration(options, 'certificate-timeout')];
    const report = await onThisMachine((host) => {
      const { net, program } = host;
      return bootstrapAgent(host, {
        origin,
        config: absolute(textOption(options, 'config') ?? ''),
        client: createHttpClient({ net, environment: program.environment, ...(ca !== undefined && { ca }) }),
        budgetMs,
        certificateMs,
        path: !flagOption(options, 'no-path'),
        signal,
        onStep: (step) => onEvent({ type: 'progress', step: 'bootstrap', message: stepText(step) }),
      });
    });
    return { data: report, text: reportText(report) };
  },
};

const stepText = ({ step, what, outcome }: BootstrapStep): string => `${step} ${what}: ${outcome}`;

function reportText({ applied, steps }: BootstrapReport): string {
  if (applied) return 'nothing to do: this machine was bootstrapped with that before';
  return lines(...steps.map(stepText), 'bootstrapped: the agent tends this machine');
}

/** NK_USAGE unless it is said once where nodekiln is. */
export function originOf(options: Options): ProgramOrigin {
  const [image, url, digest] = ['image', 'url', 'digest'].map((name) => textOption(options, name));
  const plainHttp = flagOption(options, 'plain-http');
  if ((image === undefined) === (url === undefined))
    throw new NodekilnError(
      'NK_USAGE',
      `agent bootstrap takes one of --image and --url${url === undefined ? '' : ', not both'}`,
      {
        hint: 'Give --image registry.example.org/nodekiln@sha256:…, or --url https://files.example.org/nodekiln.tar --digest sha256:….',
      },
    );
  if (image !== undefined) {
    if (digest !== undefined)
      throw new NodekilnError('NK_USAGE', '--digest goes with --url', {
        hint: 'The digest of an image stands in its reference: registry.example.org/nodekiln@sha256:….',
      });
    return { image, plainHttp, mirrors: addressesOf(options, 'mirrors') };
  }
  if (plainHttp || textOption(options, 'mirrors') !== undefined)
    throw new NodekilnError('NK_USAGE', '--mirrors and --plain-http go with --image', {
      hint: 'Give several addresses to --url, apart by commas; http:// is taken, too.',
    });
  if (digest === undefined || !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new NodekilnError('NK_USAGE', '--url needs --digest, the SHA-256 of the archive', {
      hint: 'Write it like --digest sha256:…, with 64 hexadecimal digits; `./dev build` prints it, and so does sha256sum.',
    });
  return { urls: addressesOf(options, 'url'), digest };
}

/** Apart by commas. NK_USAGE, which repeats none: somebody may have written a password into one. */
function addressesOf(options: Options, name: string): string[] {
  const text = textOption(options, name);
  const urls = (text ?? '').split(',').filter((url) => url !== '');
  for (const url of text !== undefined && urls.length === 0 ? [''] : urls) {
    const { protocol, username, search, hash } = URL.parse(url) ?? {};
    // Without TLS, too: what comes is checked by its digest.
    if ((protocol !== 'https:' && protocol !== 'http:') || username !== '' || search !== '' || hash !== '')
      throw new NodekilnError(
        'NK_USAGE',
        `--${name} has what is no http or https address, or one with more than a path`,
        {
          hint: 'Write addresses without user, password, ? and #, apart by commas: https://a.example.org,https://b.example.org/team.',
        },
      );
  }
  return urls;
}

function duration(options: Options, name: string): number {
  const text = textOption(options, name) ?? '';
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new NodekilnError('NK_USAGE', `--${name} ${text} is no duration`, {
      cause,
      hint: 'Write it like 90s or 5m.',
    });
  }
}
