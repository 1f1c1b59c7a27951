/**
 * One nodekiln works on a host at a time: whoever has the host lock, in the state folder. NK_STATE_LOCKED names the holder,
 * NK_INTERRUPTED as soon as the signal fires.
 */
import type { HeldLock, Host, LockOptions } from '../host/port.ts';
import { stateFolder } from '../model/state-paths.ts';

export function takeHostLock(host: Pick<Host, 'locks'>, options: LockOptions): Promise<HeldLock> {
  return host.locks.take(stateFolder, options);
}
