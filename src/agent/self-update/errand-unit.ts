/** The unit of the errand: there for good, it does nothing without a trial. */
import { agentUpdateUnit, agentUpdateUnitName } from '../../desired/own-units.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import { rootFile } from '../../model/files.ts';
import { programBefore } from './before.ts';

/**
 * A machine that goes down in the middle of a trial has it started at the next boot. `restart`: one that is at its end has not
 * seen the trial. NK_UNIT_FAILED.
 */
export async function runErrand({ files, units }: Host, how: 'start' | 'restart'): Promise<void> {
  const path = `/etc/systemd/system/${agentUpdateUnitName}`;
  const text = agentUpdateUnit(programBefore);
  const present = await files.read(path);
  if (!present || textOf(present) !== text) {
    await files.write([rootFile(path, bytesOf(text), 0o644)]);
    await units.daemonReload();
  } else if ((await units.get(agentUpdateUnitName)).needDaemonReload) await units.daemonReload();
  if ((await units.enablement(agentUpdateUnitName)) !== 'enabled')
    await units.setEnablement('enable', [agentUpdateUnitName]);
  const result = await (
    await units[how](agentUpdateUnitName)
  ).result.catch((thrown: unknown) => {
    throw asNodekilnError(thrown);
  });
  if (result === 'done') return;
  throw new NodekilnError('NK_UNIT_FAILED', `${agentUpdateUnitName} did not start: ${result}`, {
    resource: `unit:${agentUpdateUnitName}`,
    lines: await units.log(agentUpdateUnitName, 20).catch(() => []),
  });
}
