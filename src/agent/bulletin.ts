/** Keeps what the agent has to say where `nodekiln status` reads it (`../telemetry/agent-state.ts`). */
import type { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { bytesOf } from '../model/bytes.ts';
import { agentStatePath, type AgentState } from '../telemetry/agent-state.ts';
import type { NodeEvent } from './events.ts';

const noticesKept = 10;

export interface Bulletin {
  /** What a controller fails with, another time; undefined when it does no longer. */
  trouble(controller: string, error: NodekilnError | undefined): void;
  notice(notice: NodeEvent): void;
  /** When nobody is there any more to say anything. */
  close(): Promise<void>;
}

/** What cannot be written is told, and written with the next change. */
export function openBulletin(
  { files, clock }: Pick<Host, 'files' | 'clock'>,
  onTrouble?: (thrown: unknown) => void,
): Bulletin {
  const troubles = new Map<string, AgentState['troubles'][number]>();
  const notices: AgentState['notices'][number][] = [];
  let written: Promise<void> | undefined;
  let isStale = false;

  const write = async (): Promise<void> => {
    while (isStale) {
      isStale = false;
      const state: AgentState = { troubles: [...troubles.values()], notices };
      const content = bytesOf(`${JSON.stringify(state)}\n`);
      await files.write([{ type: 'file', path: agentStatePath, content, mode: 0o600, uid: 0, gid: 0 }]);
    }
  };
  const change = (): void => {
    isStale = true;
    written ??= write()
      .catch((thrown: unknown) => onTrouble?.(thrown))
      .finally(() => (written = undefined));
  };
  const now = (): string => new Date(clock.now()).toISOString();
  // What an agent before this one left is no longer so.
  change();
  return {
    trouble: (controller, error) => {
      const before = troubles.get(controller);
      if (!before && !error) return;
      if (error) troubles.set(controller, { controller, since: before?.since ?? now(), error: error.toJSON() });
      else troubles.delete(controller);
      change();
    },
    notice: ({ type, reason, message }) => {
      notices.push({ at: now(), type, reason, message });
      notices.splice(0, notices.length - noticesKept);
      change();
    },
    close: async () => {
      await written;
      await files.remove([agentStatePath]).catch((thrown: unknown) => onTrouble?.(thrown));
    },
  };
}
