/**
 * Units of a root folder: nothing runs there, so only enablement works. The rest throws NK_NO_SYSTEMD.
 */
import { NodekilnError } from '../../errors.ts';
import type { Files, Units } from '../port.ts';
import { changeEnablement, readEnablement } from './enablement.ts';

export function createOfflineUnits(files: Files, root: string): Units {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new NodekilnError('NK_NO_SYSTEMD', `no systemd runs in the root folder ${root}`, {
        hint: 'Units there can be enabled, disabled and masked; they start when the image boots.',
      }),
    );
  return {
    mode: 'offline',
    enablement: (name) => readEnablement(files, name),
    setEnablement: (change, names) => changeEnablement(files, change, names),
    list: refuse,
    get: refuse,
    dependencies: refuse,
    start: refuse,
    stop: refuse,
    restart: refuse,
    reloadOrRestart: refuse,
    daemonReload: refuse,
    resetFailed: refuse,
    kill: refuse,
    log: refuse,
    milestones: refuse,
  };
}
