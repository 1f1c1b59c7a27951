/** Brings the operating system to another version, by the command that documents name. It may reboot the machine meanwhile. */
import { NodekilnError } from '../../errors.ts';
import type { Clock, Exec } from '../../host/port.ts';
import { shownText } from '../../model/shown-address.ts';

interface Updating {
  readonly exec: Exec;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const commandMs = 15 * 60_000;
const againMs = 30_000;
const patienceMs = 5 * 60_000;

/**
 * Resolves when the command has ended well. A network that does not answer is asked again each half minute for five minutes.
 * NK_UPDATE_FAILED with the last lines of what it wrote; NK_INTERRUPTED.
 */
export async function updateSystem(
  { exec, clock, signal }: Updating,
  command: readonly string[] | undefined,
): Promise<void> {
  const [program] = command ?? [];
  if (!command || program === undefined)
    throw new NodekilnError('NK_UPDATE_FAILED', 'no command is given that updates the operating system', {
      hint: 'Name one in the document, or update it by other means.',
    });
  const untilMs = clock.monotonic() + patienceMs;
  for (;;) {
    const { status, stdout, stderr } = await exec.run(command, { timeoutMs: commandMs, signal });
    if (status === 0) return;
    const output = `${stdout}\n${stderr}`;
    const isPassing = /network problems/i.test(output) && !/invalid arguments|system failure/i.test(output);
    if (!isPassing || clock.monotonic() + againMs > untilMs)
      throw new NodekilnError(
        'NK_UPDATE_FAILED',
        `${program} could not update the operating system: it ended with ${status}${lastLines(shownText(output))}`,
      );
    await clock.sleep(againMs, signal);
  }
}

function lastLines(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const text = lines.slice(-3).join('; ').slice(-300);
  return text === '' ? '' : `: ${text}`;
}
