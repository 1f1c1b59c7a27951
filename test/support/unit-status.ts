/** What systemd says of a unit, to vary. */
import type { UnitStatus } from '../../src/host/port.ts';

export const runningUnit: UnitStatus = {
  name: 'a.service',
  loadState: 'loaded',
  activeState: 'active',
  subState: 'running',
  unitFileState: 'enabled',
  invocationId: '',
  fragmentPath: '',
  dropInPaths: [],
  activeEnterUsec: 0,
  inactiveExitUsec: 0,
  needDaemonReload: false,
};
