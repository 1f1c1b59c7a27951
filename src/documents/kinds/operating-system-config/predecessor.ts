/**
 * What gardener-node-agent left on a node that it tended until now: the OperatingSystemConfig that it applied last, and what
 * it was about to change when it ended. Both were written in place and may be cut off; whoever takes the node over then knows
 * less, and goes on.
 *
 * Formats: `last-applied-osc.yaml`, a whole OperatingSystemConfig; `last-computed-osc-changes.yaml`, with `files.changed[]` and
 * `units.changed[]` in the words of one.
 */
import { parseText } from '../../../config/load.ts';
import { isMap, valueAt } from '../../../config/paths.ts';
import type { ParsedDocument } from '../../../config/problems.ts';
import { asNodekilnError } from '../../../errors.ts';
import type { Files } from '../../../host/port.ts';
import { textOf } from '../../../model/bytes.ts';
import type { Facts } from '../../../model/facts.ts';
import type { Predecessor } from '../kind.ts';
import { readOperatingSystemConfig } from './read.ts';
import { renderOperatingSystemConfig } from './render.ts';
import type { OperatingSystemConfig } from './schema.ts';

const folder = '/var/lib/gardener-node-agent';
const appliedPath = `${folder}/last-applied-osc.yaml`;
const changesPath = `${folder}/last-computed-osc-changes.yaml`;
const mostBytes = 16 * 1024 * 1024;

/** Undefined where none has applied anything. Never throws for what its files say. */
export async function readPredecessor(files: Files, facts: Facts): Promise<Predecessor | undefined> {
  const remarks: string[] = [];
  const noting = async <T>(path: string, work: (text: string) => Promise<T>): Promise<T | undefined> => {
    try {
      const text = await readOwned(files, path);
      return text === undefined ? undefined : await work(text);
    } catch (thrown) {
      remarks.push(`${path} cannot be used: ${asNodekilnError(thrown).message}`);
      return undefined;
    }
  };
  const applied = await noting(appliedPath, async (text) => parseDocument(appliedPath, text));
  const changing = await noting(changesPath, async (text) => changesIn(await parseText({ file: changesPath, text })));
  if (!applied && !changing && remarks.length === 0) return undefined;
  const document = withChanges(applied, changing);
  if (!document) return { resources: [], remarks };
  try {
    const { resources } = renderOperatingSystemConfig(document, facts, { secrets: 'unknown' });
    return { resources: [...resources.values()], remarks };
  } catch (thrown) {
    return {
      resources: [],
      remarks: [...remarks, `${appliedPath} cannot be used: ${asNodekilnError(thrown).message}`],
    };
  }
}

/** Only what root alone can have written: what is named in it is removed when documents no longer have it. */
async function readOwned(files: Files, path: string): Promise<string | undefined> {
  const stat = await files.stat(path);
  if (!stat) return undefined;
  if (stat.type !== 'file' || stat.uid !== 0 || (stat.mode & 0o022) !== 0)
    throw new Error('it is no file that only root can write');
  const content = await files.read(path, { maxBytes: mostBytes });
  return content && textOf(content);
}

async function parseDocument(file: string, text: string): Promise<OperatingSystemConfig> {
  return readOperatingSystemConfig(await parseText({ file, text })).document;
}

interface Changes {
  readonly files: readonly unknown[];
  readonly units: readonly unknown[];
}

function changesIn({ value }: ParsedDocument): Changes {
  const list = (...path: string[]): readonly unknown[] => {
    const found = valueAt(value, path);
    return Array.isArray(found) ? found : [];
  };
  return { files: list('files', 'changed'), units: list('units', 'changed') };
}

/** Both in one: what was half changed counts as put in place where the last applied state does not have it. */
function withChanges(
  applied: OperatingSystemConfig | undefined,
  changes: Changes | undefined,
): OperatingSystemConfig | undefined {
  if (!changes || (changes.files.length === 0 && changes.units.length === 0)) return applied;
  const spec: OperatingSystemConfig['spec'] = applied?.spec ?? { type: 'unknown', purpose: 'reconcile' };
  const status = applied?.status ?? {};
  const known = new Set([...(spec.files ?? []), ...(status.extensionFiles ?? [])].map(({ path }) => path));
  const knownUnits = new Set([...(spec.units ?? []), ...(status.extensionUnits ?? [])].map(({ name }) => name));
  const newFiles = changes.files.filter((file) => isMap(file) && !known.has(String(file['path'])));
  const newUnits = changes.units.filter((unit) => isMap(unit) && !knownUnits.has(String(unit['name'])));
  const value = {
    apiVersion: 'extensions.gardener.cloud/v1alpha1',
    kind: 'OperatingSystemConfig',
    metadata: { name: 'predecessor', namespace: 'kube-system' },
    spec,
    status: {
      ...status,
      extensionFiles: [...(status.extensionFiles ?? []), ...newFiles],
      extensionUnits: [...(status.extensionUnits ?? []), ...newUnits.map(unitIn)],
    },
  };
  const positions: ParsedDocument['positions'] = { locate: () => ({ line: 0, column: 0 }) };
  try {
    return readOperatingSystemConfig({ file: changesPath, value, positions }).document;
  } catch {
    // Of a version that writes it otherwise: what was applied whole is known all the same.
    return applied;
  }
}

/** Without what the change list says beside the unit itself. */
function unitIn(unit: unknown): unknown {
  if (!isMap(unit)) return unit;
  const { dropInsChanges: _changes, ...own } = unit;
  return own;
}
