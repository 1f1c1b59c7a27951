/** Effects of `action` resources: the command, then its guard again: a command that leaves its guard unmet has failed. */
import { isSensitive, reveal, type ActionResource } from '../../model/resources.ts';
import { redacted } from '../../model/secret-value.ts';
import { shownText } from '../../model/shown-address.ts';
import { NodekilnError } from '../../errors.ts';
import type { ExecResult, Host } from '../../host/port.ts';
import type { ActionObservation } from '../../model/steps.ts';
import type { PerformContext } from '../performer.ts';
import { passingTrouble } from './again.ts';

const guardTimeoutMs = 10_000;

export async function observeAction(
  host: Host,
  resource: ActionResource,
  signal?: AbortSignal,
): Promise<ActionObservation> {
  const { guard } = resource;
  if (guard.type === 'path') return { kind: 'action', done: (await host.files.stat(guard.path)) !== undefined };
  const result = await host.exec.run(guard.argv, { timeoutMs: guardTimeoutMs, ...(signal && { signal }) });
  return { kind: 'action', done: result.status === 0 };
}

/** A shell's exit status. */
const commandNotFound = 127;
const managers = { apt: 'apt-get', dnf: 'dnf or its like' } as const;

/** How long is waited before each further attempt, in milliseconds. */
const pausesMs = [2_000, 5_000, 10_000, 20_000];

export async function performAction(context: PerformContext, resource: ActionResource): Promise<void> {
  const name = resource.title ?? resource.argv[0] ?? '';
  const { result, attempts } = await runAgain(context, resource, name);
  const lines = linesOf(result).slice(-20).map(teller(resource));
  const refuse = (why: string): NodekilnError =>
    new NodekilnError('NK_ACTION_FAILED', `${name} ${why}`, { resource: resource.id, lines });
  if (result.status === commandNotFound && resource.packageManager)
    throw new NodekilnError('NK_TOOL_MISSING', `${name}: the system has no ${managers[resource.packageManager]}`, {
      resource: resource.id,
      lines,
      hint: 'Name the package manager that the system has: `apt` or `dnf`.',
    });
  if (result.status !== 0) {
    const times = attempts === 1 ? '' : `, the last of ${attempts} times`;
    throw refuse(`ended with exit status ${result.status}${times}`);
  }
  if (resource.title !== undefined) context.detail(resource.title);
  if ((await observeAction(context.host, resource, context.signal)).done) return;
  throw refuse('succeeded, but its guard still says that it is not done');
}

/** Until it succeeds, or will not by itself, or there is no time for another attempt. */
async function runAgain(
  context: PerformContext,
  resource: ActionResource,
  name: string,
): Promise<{ readonly result: ExecResult; readonly attempts: number }> {
  const { host, signal } = context;
  const { exec, clock } = host;
  const deadline = clock.monotonic() + resource.timeoutMs;
  for (let attempts = 1; ; attempts++) {
    const result = await exec
      .run(resource.argv, {
        timeoutMs: Math.max(1, deadline - clock.monotonic()),
        ...(resource.env && { env: revealed(resource.env) }),
        ...(signal && { signal }),
      })
      .catch((thrown: unknown) => {
        throw named(thrown, resource, name);
      });
    const { packageManager } = resource;
    const reason = result.status === 0 || !packageManager ? undefined : passingTrouble(packageManager, linesOf(result));
    const pauseMs = pausesMs[attempts - 1];
    if (reason === undefined || pauseMs === undefined || clock.monotonic() + pauseMs >= deadline)
      return { result, attempts };
    context.progress(`${name} is tried again in ${pauseMs / 1000} s: ${teller(resource)(reason)}`);
    await clock.sleep(pauseMs, signal);
  }
}

/** A deadline's error that says what was carried out rather than which program. */
function named(thrown: unknown, resource: ActionResource, name: string): unknown {
  if (!(thrown instanceof NodekilnError) || thrown.code !== 'NK_TIMEOUT') return thrown;
  return new NodekilnError('NK_TIMEOUT', `${name} did not end within ${resource.timeoutMs / 1000} s`, {
    resource: resource.id,
    lines: thrown.lines.map(teller(resource)),
  });
}

function revealed(env: NonNullable<ActionResource['env']>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, reveal(value)]));
}

/** What is shorter is no secret, and would be found in many a word. */
const shortestSecret = 4;

/** Tells a line of a command without what a document gave it in secret. */
function teller({ env = {} }: ActionResource): (line: string) => string {
  const secrets = Object.values(env)
    .filter(isSensitive)
    .flatMap(({ sensitive }) => sensitive.split('\n'))
    .filter((part) => part.length >= shortestSecret)
    .sort((a, b) => b.length - a.length);
  return (line) => shownText(secrets.reduce((text, part) => text.replaceAll(part, redacted), line));
}

function linesOf({ stdout, stderr }: ExecResult): string[] {
  return `${stdout}\n${stderr}`.trim().split('\n');
}
