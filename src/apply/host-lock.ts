/**
 * One nodekiln works on a host at a time: whoever has the host lock, in the state folder. NK_STATE_LOCKED names the holder,
 * NK_INTERRUPTED as soon as the signal fires, NK_STATE_UNUSABLE where there can be no lock, NK_STATE_FOREIGN where
 * the state is not ours.
 */
import { asNodekilnError, errnoOf, NodekilnError } from '../errors.ts';
import type { HeldLock, Host, LockOptions } from '../host/port.ts';
import { stateFolder } from '../model/state-paths.ts';
import { makeStateOurs } from './own-state.ts';

export async function takeHostLock(host: Pick<Host, 'files' | 'locks'>, options: LockOptions): Promise<HeldLock> {
  try {
    await makeStateOurs(host);
    return await host.locks.take(stateFolder, options);
  } catch (cause) {
    const unusable = errnoOf(cause)?.startsWith('SQLITE_') === true || errnoOf(cause) === 'NK_FILE_WRITE';
    if (!unusable) throw cause;
    throw new NodekilnError('NK_STATE_UNUSABLE', `the host lock cannot be had: ${asNodekilnError(cause).message}`, {
      cause,
    });
  }
}
