/** OperatingSystemConfigs of a few words, for tests, and what becomes of them. */
import assert from 'node:assert/strict';
import { NodekilnError, type Problem } from '../../src/errors.ts';
import { loadNodeDocuments } from '../../src/documents/documents.ts';
import type { NodeAsk, SecretData } from '../../src/documents/kinds/kind.ts';
import { exampleFacts, type Facts } from '../../src/model/facts.ts';
import type { DesiredState, FileResource, Resource, UnitResource } from '../../src/model/resources.ts';
import { reveal } from '../../src/model/resources.ts';
import { SecretValue } from '../../src/model/secret-value.ts';

export type Json = { readonly [key: string]: unknown };

export function oscOf(spec: Json, status?: Json): Json {
  return {
    apiVersion: 'extensions.gardener.cloud/v1alpha1',
    kind: 'OperatingSystemConfig',
    metadata: { creationTimestamp: null },
    spec,
    ...(status && { status }),
  };
}

/** Of a Secret's data. */
export function secretValue(text: string): SecretValue {
  return new SecretValue(Buffer.from(text).toString('base64'));
}

/** A file with text, as most are. */
export function inlineFile(path: string, data: string, about: Json = {}): Json {
  return { path, content: { inline: { encoding: '', data } }, ...about };
}

export async function renderOsc(
  document: Json | string,
  about: Partial<Facts> = {},
  secrets?: ReadonlyMap<string, SecretData>,
): Promise<DesiredState> {
  return (await askOsc(document, about, secrets)).desired;
}

/** All that a document asks for. */
export async function askOsc(
  document: Json | string,
  about: Partial<Facts> = {},
  secrets?: ReadonlyMap<string, SecretData>,
): Promise<NodeAsk> {
  const text = typeof document === 'string' ? document : JSON.stringify(document, undefined, 1);
  const ask = await loadNodeDocuments([{ file: 'osc.yaml', text, mode: 0o600, ...(secrets && { secrets }) }]);
  return ask({ ...exampleFacts, ...about });
}

/** What is wrong with a document: `path: message`, in the order of the document. */
export async function problemsOfOsc(document: Json | string, about: Partial<Facts> = {}): Promise<string[]> {
  try {
    await renderOsc(document, about);
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    assert.ok(thrown.code === 'NK_DOCUMENT_INVALID' || thrown.code === 'NK_DOCUMENT_SYNTAX', thrown.code);
    return thrown.problems.map(({ place, message }: Problem) => {
      assert.ok(place?.line !== undefined && place.column !== undefined, `${message} has a place`);
      return `${place.path ?? ''}: ${message}`;
    });
  }
}

export function unitIn({ resources }: DesiredState, name: string): UnitResource {
  return resourceIn(resources.get(`unit:${name}`), 'unit', name);
}

export function fileIn({ resources }: DesiredState, path: string): FileResource {
  return resourceIn(resources.get(`file:${path}`), 'file', path);
}

function resourceIn<Kind extends Resource['kind']>(
  resource: Resource | undefined,
  kind: Kind,
  name: string,
): Extract<Resource, { kind: Kind }> {
  assert.ok(resource, `${name} is there`);
  assert.equal(resource.kind, kind);
  return resource as Extract<Resource, { kind: Kind }>;
}

/** Content as text, and mode. */
export function textIn(state: DesiredState, path: string): readonly [text: string, mode: string] {
  const { entry } = fileIn(state, path);
  assert.ok(entry.type === 'file', `${path} is a file`);
  const { content } = entry;
  assert.ok(!('image' in content), `${path} holds its content`);
  const text = 'text' in content ? reveal(content.text) : Buffer.from(reveal(content.base64), 'base64').toString();
  return [text, entry.mode];
}
