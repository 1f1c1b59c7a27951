/** Inventories as files: our own documents, and formats of other tools. */
import { writeFile } from 'node:fs/promises';
import type { Inventory } from '../artifacts/inventory/inventory.ts';
import type { DocumentText } from '../config/load.ts';
import { errnoOf, NodekilnError } from '../errors.ts';

/** NK_USAGE for anything but what can be read. */
export function requireFormat(format: string): void {
  if (format === 'agentbaker') return;
  throw new NodekilnError('NK_USAGE', `${format} is no format of inventories that is known here`, {
    hint: 'Known is agentbaker.',
  });
}

/** AgentBaker's file is told by its keys: it names no kind. */
export function isAgentbaker(text: string): boolean {
  return (
    /^\s*\{/.test(text) && /"(Packages|ContainerImages|OCIArtifacts)"\s*:/.test(text) && !/"apiVersion"/.test(text)
  );
}

export async function readInventory(source: DocumentText): Promise<Inventory> {
  if (isAgentbaker(source.text)) {
    const { importAgentbaker } = await import('../artifacts/inventory/import-agentbaker.ts');
    return importAgentbaker(source.text, source.file);
  }
  const { parseDocument } = await import('../config/load.ts');
  return (await parseDocument(source, 'Inventory')).document.spec;
}

/** The text for stdout: the data, or where it was written. */
export async function writeOutput(data: unknown, path: string | undefined): Promise<string> {
  const text = JSON.stringify(data, undefined, 2);
  if (path === undefined) return text;
  try {
    await writeFile(path, `${text}\n`);
  } catch (cause) {
    throw new NodekilnError('NK_FILE_WRITE', `cannot write ${path}: ${errnoOf(cause) ?? ''}`, { cause });
  }
  return `written to ${path}`;
}
