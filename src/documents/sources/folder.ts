/**
 * `dir:/path`: the documents in a folder, in lexical order. Names that start with a dot or end otherwise than in `.yaml`,
 * `.yml` or `.json` are editors' and writers' own files and passed over.
 *
 * A document that is renamed into place, or comes with its folder (as the volumes of Kubernetes do), is whole. One that is
 * written in place is not, for as long as it is being written to: whether it is, is known of the time in which the folder
 * is watched, and before that by the age of the file.
 *
 * An empty folder asks for nothing. A folder that is not there asks for nothing that is known: NK_DOCUMENT_MISSING.
 */
import { errnoOf, NodekilnError, whyRefused } from '../../errors.ts';
import type { Files } from '../../host/port.ts';
import {
  digestOf,
  isDocumentName,
  settleMs,
  type DocumentSource,
  type Reading,
  type SourceContext,
  type SourcedText,
} from './source.ts';

/** No document of people or of a Secret comes near it: two seconds of JSON. */
const largestDocument = 8 * 1024 * 1024;

/**
 * NK_DOCUMENT_MISSING when there is no such document, or what there is cannot be read as one; NK_DOCUMENT_EXPOSED when others
 * can change it, NK_PATH_UNSAFE for a link of theirs.
 */
export async function readText(files: Files, path: string): Promise<SourcedText> {
  const found = await readFile(files, path);
  if (found) return found;
  throw missing(path, 'does not exist');
}

interface FoundText extends SourcedText {
  readonly mtimeMs: number;
}

/** With bounds, whatever stands at the path: what is no regular file is refused, and so is what has no end. */
async function readFile(files: Files, path: string): Promise<FoundText | undefined> {
  try {
    const file = await files.open(path);
    if (!file) return undefined;
    try {
      const { size, mode, mtimeNs } = file.stat;
      if (size > largestDocument) throw missing(path, `is larger than ${largestDocument} bytes`);
      await refuseWrittenByOthers(files, path);
      const content = await file.read(0, size);
      return { file: path, text: new TextDecoder().decode(content), mode, mtimeMs: Number(mtimeNs / 1_000_000n) };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (thrown instanceof NodekilnError) throw thrown;
    throw missing(path, reason(thrown), thrown);
  }
}

/** What a document says is done with root's rights: nobody else may have a hand in it (StrictModes of sshd_config(5)).
 * NK_DOCUMENT_EXPOSED. */
export async function refuseWrittenByOthers(files: Files, path: string): Promise<void> {
  const exposure = await files.exposure(path);
  if (!exposure) return;
  const { path: at, why, remedy } = exposure;
  throw new NodekilnError(
    'NK_DOCUMENT_EXPOSED',
    at === path ? `${path} ${why}: it is not to be trusted` : `${path} is not to be trusted: ${at} ${why}`,
    { place: { file: path }, hint: `Look at what stands in it, then \`${remedy}\`.` },
  );
}

function reason(thrown: unknown): string {
  const errno = errnoOf(thrown);
  if (errno === 'EISDIR') return 'is a folder, and a document is wanted';
  if (errno === 'EINVAL') return 'is no regular file';
  return `cannot be read: ${whyRefused(thrown)}`;
}

function missing(path: string, why: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_DOCUMENT_MISSING', `${path} ${why}`, { place: { file: path }, cause });
}

/** All documents of a folder as they are now; undefined when there is no folder. */
async function readAll(files: Files, folder: string): Promise<{ texts: FoundText[]; torn: boolean } | undefined> {
  if (!(await isFolder(files, folder))) return undefined;
  const paths = (await files.list(folder)).filter(isDocumentName).map((name) => `${folder}/${name}`);
  const texts: FoundText[] = [];
  for (const path of paths) {
    const found = await readFile(files, path);
    if (found) texts.push(found);
  }
  // A folder that went while it was read looks as if it were empty.
  if (!(await isFolder(files, folder))) return undefined;
  return { texts, torn: texts.length < paths.length };
}

/** Symlinks are followed. */
async function isFolder(files: Files, path: string): Promise<boolean> {
  try {
    const file = await files.open(path);
    await file?.close();
    return false;
  } catch (thrown) {
    if (thrown instanceof NodekilnError) throw thrown;
    return errnoOf(thrown) === 'EISDIR';
  }
}

/** The documents of a folder; none when there is no folder. */
export async function readFolder(files: Files, folder: string): Promise<readonly SourcedText[]> {
  return (await readAll(files, folder))?.texts ?? [];
}

export function openFolder(folder: string, { host: { files, clock } }: SourceContext): DocumentSource {
  if (!folder.startsWith('/')) {
    throw new NodekilnError('NK_USAGE', `dir:${folder} does not name a folder by its absolute path`, {
      hint: 'Use --source dir:/etc/nodekiln/desired.',
    });
  }
  /** When which name was last seen to come, or to be written to in place, while the folder is watched. */
  const seen = new Map<string, { readonly atMs: number; readonly written: boolean }>();

  const isBeingWritten = ({ file, text, mtimeMs }: FoundText): boolean => {
    const last = seen.get(file.slice(folder.length + 1));
    if (!last) return Math.abs(clock.now() - mtimeMs) < settleMs;
    return (last.written || text === '') && clock.monotonic() - last.atMs < settleMs;
  };

  return {
    address: `dir:${folder}`,

    async read(): Promise<Reading> {
      const found = await readAll(files, folder);
      if (!found) {
        throw new NodekilnError('NK_DOCUMENT_MISSING', `the folder ${folder} does not exist`, {
          place: { file: folder },
          hint: 'Make the folder again: an empty one asks for nothing, a missing one keeps what is applied.',
        });
      }
      // What was written before it was read is told by then: the second turn of the event loop begins after the system was asked.
      if (seen.size > 0) for (let turn = 0; turn < 2; turn++) await clock.sleep(0);
      const { texts, torn } = found;
      return { texts, digest: digestOf(texts), whole: !torn && !texts.some(isBeingWritten) };
    },

    async *watch(signal) {
      const watch = await files.watch(folder);
      const stop = (): void => watch.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        if (signal.aborted) return;
        yield;
        for await (const event of watch) {
          if (event.type !== 'changed') {
            seen.clear();
            yield;
            continue;
          }
          const atMs = clock.monotonic();
          const written = new Set(event.inPlace);
          for (const name of event.names) seen.set(name, { atMs, written: written.has(name) });
          yield;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        seen.clear();
        watch.close();
      }
    },

    async make() {
      if (await files.stat(folder)) return false;
      await files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
      return true;
    },
  };
}
