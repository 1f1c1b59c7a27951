/**
 * A Node may say that its documents are in another Secret now, by the label that Gardener puts there when the pool of the node
 * is made anew. It counts, over restarts, too, for as long as the agent's own configuration names the same Secret as when it
 * was said. A label that goes or makes no sense changes nothing.
 */
import type { Files } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { agentFolder } from '../model/state-paths.ts';
import type { NodeObject } from './cluster.ts';

const label = 'worker.gardener.cloud/gardener-node-agent-secret-name';
const path = `${agentFolder}/renamed-secret.json`;
const secretName = /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/;

/** `configured`: `secret:kube-system/a`. Gives the one that the Node named instead, if it did. */
export async function sourceInForce(files: Pick<Files, 'read'>, configured: string): Promise<string> {
  if (!configured.startsWith('secret:')) return configured;
  const said = parsed(textOf(await files.read(path, { maxBytes: 4096 }).catch(() => undefined)));
  return said?.configured === configured ? renamed(configured, said.name) : configured;
}

/** The name that a Node gives, where it is another than that of the source in force; undefined: nothing is to be done. */
export function renamedBy(node: NodeObject, inForce: string): string | undefined {
  const name = node.metadata.labels?.[label] ?? '';
  if (!inForce.startsWith('secret:') || !secretName.test(name)) return undefined;
  return renamed(inForce, name) === inForce ? undefined : name;
}

/** Durable when it returns. */
export async function keepRename(files: Pick<Files, 'write'>, configured: string, name: string): Promise<void> {
  const content = bytesOf(`${JSON.stringify({ configured, name })}\n`);
  await files.write([
    { type: 'directory', path: agentFolder, mode: 0o700, uid: 0, gid: 0 },
    { type: 'file', path, content, mode: 0o600, uid: 0, gid: 0 },
  ]);
}

function renamed(source: string, name: string): string {
  return `${source.slice(0, source.indexOf('/'))}/${name}`;
}

function parsed(text: string | undefined): { readonly configured: string; readonly name: string } | undefined {
  try {
    const { configured, name } = JSON.parse(text ?? '') as Readonly<Record<string, unknown>>;
    if (typeof configured !== 'string' || typeof name !== 'string' || !secretName.test(name)) return undefined;
    return { configured, name };
  } catch {
    return undefined;
  }
}
