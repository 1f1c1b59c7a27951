/** Who a machine is, as its kubelet tells the cluster in `status.nodeInfo` of the Node: machine-id(5) and the firmware's UUID. */
import { textOf } from '../model/bytes.ts';
import type { Files } from './port.ts';

/** In lower case; '' where the machine has none. */
export interface MachineIdentity {
  readonly machineId: string;
  readonly systemUuid: string;
}

/** What a Node says of its machine. */
export interface ToldMachine {
  readonly machineID?: string;
  readonly systemUUID?: string;
}

export async function readMachineIdentity(files: Pick<Files, 'read'>): Promise<MachineIdentity> {
  const read = async (path: string): Promise<string> =>
    textOf(await files.read(path).catch(() => undefined))
      ?.trim()
      .toLowerCase() ?? '';
  const [machineId, systemUuid] = await Promise.all([read('/etc/machine-id'), read('/sys/class/dmi/id/product_uuid')]);
  return { machineId, systemUuid };
}

/** A Node that says nothing of its machine yet is the one that kubelet has just made. */
export function isSameMachine({ machineID = '', systemUUID = '' }: ToldMachine, own: MachineIdentity): boolean {
  const same = (theirs: string, ours: string): boolean => theirs === '' || ours === '' || theirs.toLowerCase() === ours;
  return same(machineID, own.machineId) && same(systemUUID, own.systemUuid);
}

/** What tells a machine that is not this one from it, for people; whatever it told. */
export function otherMachine({ machineID = '', systemUUID = '' }: ToldMachine, own: MachineIdentity): string {
  if (machineID !== '' && machineID.toLowerCase() !== own.machineId) return `its machine ID is ${shown(machineID)}`;
  return `its system UUID is ${shown(systemUUID)}, with this machine’s machine ID: one is a copy of the other’s disk`;
}

function shown(id: string): string {
  return /^[\da-f-]{1,64}$/i.test(id) ? id : 'none that a machine has';
}
