/**
 * Generations as files: what was asked for, whole, one file each. They are what ownership is rebuilt from when the database
 * is lost. Only root can read them, because documents may hold secrets inline.
 */
import { isMap } from '../../config/paths.ts';
import type { Files } from '../../host/port.ts';
import { withOriginals } from '../../kinds/performers.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import { rootFile } from '../../model/files.ts';
import { canonicalJson } from '../../model/canonical.ts';
import { join } from '../../model/path.ts';
import { claimSourceOrder, type ClaimSource, type Resource, type ResourceId } from '../../model/resources.ts';
import { generationsFolder } from '../../model/state-paths.ts';
import type { Touched } from '../../model/steps.ts';
import type { Claims } from '../../plan/claims.ts';
import { isResource } from './resource-form.ts';

export interface GenerationFile {
  readonly number: number;
  /** The source whose document made it. */
  readonly source: ClaimSource;
  readonly createdMs: number;
  /** Of all sources. */
  readonly claims: Claims;
}

const kept = 10;

/** The numbers of those that are there, in their order. */
export async function generationNumbers(files: Files): Promise<number[]> {
  return (await files.list(generationsFolder)).flatMap((name) => numberOf(name) ?? []).sort((a, b) => a - b);
}

/** Durable and whole. NK_FILE_WRITE. */
export async function writeGeneration(files: Files, content: GenerationFile): Promise<void> {
  await files.write([rootFile(pathOf(content.number), bytesOf(`${JSON.stringify(content)}\n`), 0o600)]);
}

/** One that has not begun. */
export async function dropGeneration(files: Files, number: number): Promise<void> {
  await files.remove([pathOf(number)]);
}

/** Undefined when it is not there, or cannot be read. */
export async function readGeneration(files: Files, number: number): Promise<GenerationFile | undefined> {
  try {
    const content = await files.read(pathOf(number));
    return content && generationOf(JSON.parse(textOf(content)));
  } catch {
    return undefined;
  }
}

/** What in it is no resource is left out. */
function generationOf(value: unknown): GenerationFile | undefined {
  if (!isMap(value) || !isMap(value['claims'])) return undefined;
  const claims: Partial<Record<ClaimSource, Resource[]>> = {};
  for (const source of claimSourceOrder) {
    const resources = value['claims'][source];
    if (Array.isArray(resources)) claims[source] = resources.filter(isResource);
  }
  return { ...(value as unknown as GenerationFile), claims };
}

/**
 * Keeps the newest ones and the last that was applied. What a killed run wrote and never began goes, and what killed runs
 * of earlier versions left under `.tmp`.
 */
export async function pruneGenerations(
  files: Files,
  { newest, applied }: { readonly newest: number; readonly applied: number | undefined },
): Promise<void> {
  const names = (await files.list(generationsFolder)).filter((name) => {
    const number = numberOf(name);
    if (number === undefined) return name.endsWith('.tmp');
    return number > newest || (number <= newest - kept && number !== applied);
  });
  if (names.length > 0) await files.remove(names.map((name) => join(generationsFolder, name)));
}

export interface Rebuilt {
  readonly touched: readonly Touched[];
  readonly claims: Claims;
}

/** What may have been touched, from every generation file that can be read; the last file's claims are in force. */
export async function rebuildFromGenerations(files: Files): Promise<Rebuilt> {
  const touched = new Map<ResourceId, Touched>();
  const hasOriginal = await withOriginals(files);
  let claims: Claims = {};
  for (const number of await generationNumbers(files)) {
    const content = await readGeneration(files, number);
    if (!content) continue;
    claims = content.claims;
    for (const source of claimSourceOrder) {
      for (const resource of content.claims[source] ?? []) {
        const before = touched.get(resource.id)?.definitions ?? [];
        const known = before.some((definition) => canonicalJson(definition) === canonicalJson(resource));
        touched.set(resource.id, {
          id: resource.id,
          source,
          definitions: known ? before : [...before, resource],
          done: false,
          unsure: true,
          startedWith: undefined,
          original: hasOriginal(resource.id),
        });
      }
    }
  }
  return { touched: [...touched.values()], claims };
}

function numberOf(name: string): number | undefined {
  return /^[1-9]\d{0,11}\.json$/.test(name) ? Number.parseInt(name, 10) : undefined;
}

function pathOf(number: number): string {
  return join(generationsFolder, `${number}.json`);
}
