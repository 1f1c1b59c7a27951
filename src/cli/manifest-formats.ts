/** Inventories as files: our own documents, and formats of other tools. */
import type { Inventory } from '../artifacts/inventory/inventory.ts';
import type { DocumentText } from '../config/load.ts';
import { NodekilnError } from '../errors.ts';
import { writeOutput } from './output-file.ts';

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
export async function dataOrPlace(data: unknown, path: string | undefined): Promise<string> {
  const text = JSON.stringify(data, undefined, 2);
  return path === undefined ? text : `written to ${await writeOutput(path, `${text}\n`)}`;
}
