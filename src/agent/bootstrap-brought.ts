/** What a bootstrap brought to a machine, or was about to when it was killed: a reset takes it away again, and nothing else. */
import type { Files } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { rootFile } from '../model/files.ts';
import { bootstrapBroughtPath as path } from '../model/state-paths.ts';

/** The program, the AgentConfig, the agent's unit; that the unit is enabled; other files by their paths. */
export type Brought = 'program' | 'config' | 'unit' | 'enablement' | `/${string}`;

export async function readBrought(files: Files): Promise<ReadonlySet<Brought>> {
  const content = await files.read(path);
  if (!content) return new Set();
  // Only a bootstrap writes it, whole.
  const { brought } = JSON.parse(textOf(content)) as { readonly brought: readonly Brought[] };
  return new Set(brought);
}

/** Before any of it is brought. */
export async function noteBrought(files: Files, about: readonly Brought[]): Promise<void> {
  const before = await readBrought(files);
  const brought = [...new Set([...before, ...about])];
  if (brought.length === before.size) return;
  await files.write([rootFile(path, bytesOf(`${JSON.stringify({ brought })}\n`), 0o644)]);
}
