/** `nodekiln agent bootstrap`: what user data calls on a machine that no image was baked for. */
import { resolve as absolute } from 'node:path';
import type { BootstrapReport, BootstrapStep } from '../agent/bootstrap.ts';
import { parseDuration } from '../config/duration.ts';
import { NodekilnError } from '../errors.ts';
import { certificates } from './certificates.ts';
import { onThisMachine } from './this-machine.ts';
import { flagOption, textOption, type Options, type Verb } from './verb.ts';

export const agentBootstrapVerb: Verb = {
  spec: {
    name: 'agent bootstrap',
    summary: 'make a machine that was not baked one that an agent tends',
    description:
      'Fetches nodekiln by digest and installs it below /opt/nodekiln, writes /etc/nodekiln/agent.yaml and the unit of the agent, starts it and waits until it has its certificate. What is there already stays. Disables nodekiln-agent-bootstrap.service; once all is done, another run with the same digest does nothing, and one with another digest puts a newer program in the place of the older and restarts the agent.',
    arguments: [],
    options: [
      {
        flag: '--config',
        value: 'FILE',
        about: 'the AgentConfig; only root may read one with a token',
        required: true,
      },
      {
        flag: '--image',
        value: 'REFERENCE',
        about: 'the OCI artifact with nodekiln, with its digest',
        required: true,
      },
      {
        flag: '--mirrors',
        value: 'URL,…',
        about: 'asked before the registry, in this order; https://mirror.example.org',
      },
      { flag: '--plain-http', about: 'speak plain HTTP with the registry' },
      {
        flag: '--ca-file',
        value: 'FILE',
        about: 'certificates (PEM) the registry is trusted by, instead of the machine’s',
      },
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
    const ca = await certificates(options);
    const [budgetMs, certificateMs] = [duration(options, 'budget'), duration(options, 'certificate-timeout')];
    const report = await onThisMachine((host) => {
      const { net, program } = host;
      return bootstrapAgent(host, {
        image: textOption(options, 'image') ?? '',
        config: absolute(textOption(options, 'config') ?? ''),
        mirrors: mirrorsOf(options),
        plainHttp: flagOption(options, 'plain-http'),
        client: createHttpClient({ net, environment: program.environment, ...(ca !== undefined && { ca }) }),
        budgetMs,
        certificateMs,
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
  return [...steps.map(stepText), 'bootstrapped: the agent tends this machine'].join('\n');
}

/** Addresses of registries, apart by commas. NK_USAGE, which repeats none: somebody may have written a password into one. */
export function mirrorsOf(options: Options): string[] {
  const urls = (textOption(options, 'mirrors') ?? '').split(',').filter((url) => url !== '');
  for (const url of urls) {
    const { protocol, username, search, hash } = URL.parse(url) ?? {};
    // Without TLS, too: what comes is checked by its digest.
    if ((protocol !== 'https:' && protocol !== 'http:') || username !== '' || search !== '' || hash !== '')
      throw new NodekilnError('NK_USAGE', `--mirrors names what is no address of a registry`, {
        hint: 'Write them like https://mirror.example.org,https://other.example.org/team.',
      });
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
