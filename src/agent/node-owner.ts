/**
 * Whether the Node of this agent's name is this machine's: kubelet tells its machine there, and two kubelets of one name do
 * so in turns. A Node that tells of another machine is left alone until our own kubelet has written it, as it soon does when
 * the other is gone; when the other writes it again after that, until it has not done so for ten minutes. That outlives the
 * agent, not the start of the machine.
 */
import { isMap } from '../config/paths.ts';
import { isSameMachine, otherMachine, readMachineIdentity, type ToldMachine } from '../host/machine-identity.ts';
import type { Host } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';

/** Another machine than this one in the Node of this one's name. */
export interface NodeContest {
  /** What tells it from this one: `its machine ID is …`. */
  readonly other: string;
  /** This machine's kubelet writes the Node, too. */
  readonly isShared: boolean;
  /** On the monotonic clock: since when the other is known. */
  readonly sinceMs: number;
}

export interface NodeOwner {
  /** What the Node tells of its machine now. */
  judge(told: ToldMachine): void;
  /** Undefined while the Node is ours alone, or tells nothing. */
  readonly contest: NodeContest | undefined;
}

/** Two kubelets write their Node every few seconds. */
const contestMs = 10 * 60_000;
/** How often the end of a contest that goes on is written down. */
const keepMs = 60_000;
const path = '/run/nodekiln/node-contest.json';

interface Kept extends Omit<NodeContest, 'isShared'> {
  /** On the monotonic clock: when the other wrote it last. */
  readonly lastMs: number;
}

/** Never throws: what cannot be kept is told `onTrouble`. */
export async function openNodeOwner(
  { files, clock }: Pick<Host, 'files' | 'clock'>,
  onTrouble?: (trouble: unknown) => void,
): Promise<NodeOwner> {
  const own = await readMachineIdentity(files);
  let shared = keptOf(textOf(await files.read(path).catch(() => undefined)), clock.monotonic());
  let foreign: NodeContest | undefined;
  let wasOurs = shared !== undefined;
  let keptMs = -Infinity;

  const keep = (contest: Kept): void => {
    if (contest.lastMs - keptMs < keepMs) return;
    keptMs = contest.lastMs;
    const content = bytesOf(JSON.stringify(contest));
    files.write([{ type: 'file', path, content, mode: 0o600, uid: 0, gid: 0 }]).catch((thrown: unknown) => {
      onTrouble?.(thrown);
    });
  };
  return {
    judge: (told) => {
      if (told.machineID === undefined) return;
      if (isSameMachine(told, own)) {
        wasOurs = true;
        foreign = undefined;
        return;
      }
      const other = otherMachine(told, own);
      const nowMs = clock.monotonic();
      foreign = { other, isShared: false, sinceMs: foreign?.sinceMs ?? nowMs };
      if (!wasOurs) return;
      shared = { other, sinceMs: shared?.sinceMs ?? nowMs, lastMs: nowMs };
      keep(shared);
    },
    get contest() {
      if (shared && clock.monotonic() - shared.lastMs >= contestMs) shared = undefined;
      return shared ? { ...shared, isShared: true } : foreign;
    },
  };
}

/** Of an agent before this one, in this start of the machine. */
function keptOf(text: string | undefined, nowMs: number): Kept | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (!isMap(value)) return undefined;
    const { other, sinceMs, lastMs } = value;
    if (typeof other !== 'string' || typeof sinceMs !== 'number' || typeof lastMs !== 'number') return undefined;
    return lastMs <= nowMs ? { other, sinceMs, lastMs } : undefined;
  } catch {
    return undefined;
  }
}
