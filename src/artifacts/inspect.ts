/** What a package says about itself and what it holds, without taking anything out. The whole of it is read and checked. */
import type { EntryType, PackageInfo } from './formats/format.ts';
import { defaultLimits } from './formats/limits.ts';
import type { Limits } from './formats/limits.ts';
import { walkArtifact } from './formats/open.ts';

export interface Inspection extends PackageInfo {
  /** Of the artifact itself. */
  readonly digest: string;
  readonly size: number;
  readonly members: number;
  /** Bytes of all regular members. */
  readonly unpackedSize: number;
  /** The members in order, the first ones when there are many. */
  readonly entries: readonly InspectedEntry[];
}

export interface InspectedEntry {
  readonly name: string;
  readonly type: EntryType;
  readonly size: number;
  /** `"0755"` */
  readonly mode: string;
  readonly target?: string;
}

const kept = 1_000;

/** NK_ARTIFACT_MISSING, NK_ARTIFACT_UNREADABLE, NK_TOOL_MISSING. */
export async function inspectArtifact(path: string, limits: Partial<Limits> = {}): Promise<Inspection> {
  let info: PackageInfo | undefined;
  const entries: InspectedEntry[] = [];
  let members = 0;
  let unpackedSize = 0;
  const walked = await walkArtifact(
    {
      source: path,
      what: path,
      format: undefined,
      limits: { ...defaultLimits, ...limits },
      digest: true,
      signal: undefined,
    },
    {
      package: (stated) => {
        info = stated;
      },
      entry: async (entry, content) => {
        let size = entry.size;
        if (size < 0) {
          size = 0;
          for await (const chunk of content) size += chunk.length;
        }
        members++;
        if (entry.type === 'file') unpackedSize += size;
        const mode = entry.mode.toString(8).padStart(4, '0');
        if (entries.length < kept)
          entries.push({
            name: entry.name,
            type: entry.type,
            size,
            mode,
            ...(entry.target !== undefined && { target: entry.target }),
          });
      },
    },
  );
  return {
    ...(info ?? { format: walked.format, compression: 'none' }),
    digest: walked.digest,
    size: walked.size,
    members,
    unpackedSize,
    entries,
  };
}
