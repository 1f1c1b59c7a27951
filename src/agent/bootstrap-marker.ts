/** What a bootstrap leaves on the disk: what was applied, so that user data that runs at every boot does nothing then. */
import type { Files } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { rootFile } from '../model/files.ts';
import { agentBootstrapPath as path } from '../model/state-paths.ts';

export interface BootstrapMarker {
  /** Of what was applied last. */
  readonly digest: string;
  /** Of what was tried after it, and taken back. */
  readonly refused?: {
    readonly digest: string;
    readonly message: string;
    /** Of the log of the agent that failed. */
    readonly lines: readonly string[];
  };
}

const maxBytes = 64 * 1024;

/** One that cannot be read is of something else. */
export async function readMarker(files: Files): Promise<BootstrapMarker | undefined> {
  const text = textOf(await files.read(path, { maxBytes }));
  if (text === undefined) return undefined;
  try {
    const { digest, refused } = JSON.parse(text) as Partial<BootstrapMarker>;
    return {
      digest: typeof digest === 'string' ? digest : '',
      ...(typeof refused?.digest === 'string' && { refused }),
    };
  } catch {
    return { digest: '' };
  }
}

export async function writeMarker(files: Files, marker: BootstrapMarker): Promise<void> {
  await files.write([rootFile(path, bytesOf(`${JSON.stringify(marker)}\n`), 0o644)]);
}
