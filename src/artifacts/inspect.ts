/** What a package says about itself and what it holds, without taking anything out. The whole of it is read and checked. */
import type { EntryType } from '../host/port.ts';
import type { PackageInfo } from './formats/format.ts';
import { defaultLimits } from './formats/limits.ts';
import type { Limits } from './formats/limits.ts';
import { readPackage, withPackage } from './formats/open.ts';
import type { PackageHost } from './formats/open.ts';

/** All of a package, seen from outside. */
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

/** A member, as its package states it. */
export interface InspectedEntry {
  readonly name: string;
  readonly type: EntryType;
  readonly size: number;
  /** `"0755"` */
  readonly mode: string;
  readonly target?: string;
}

/** How it is called and how much of it is borne. */
export interface InspectOptions {
  /** What to call the artifact in messages; the path unless told. */
  readonly what?: string;
  readonly limits?: Partial<Limits>;
}

const kept = 1_000;

/** `path`: in our own file system. NK_ARTIFACT_MISSING, NK_ARTIFACT_UNREADABLE, NK_TOOL_MISSING. */
export async function inspectArtifact(
  host: PackageHost,
  path: string,
  { what = path, limits = {} }: InspectOptions = {},
): Promise<Inspection> {
  return withPackage(host, { path, what, limits: { ...defaultLimits, ...limits } }, async (opened) => {
    const { entries, fileDigest, members, memberBytes } = await readPackage(host, opened, {
      tell: { first: kept },
      fileDigest: true,
    });
    return {
      ...opened.info,
      digest: fileDigest,
      size: opened.file.stat.size,
      members,
      unpackedSize: memberBytes,
      entries: entries.slice(0, kept).map(({ name, type, size, mode, target }) => ({
        name,
        type,
        size,
        mode: mode.toString(8).padStart(4, '0'),
        ...(target !== undefined && { target }),
      })),
    };
  });
}
