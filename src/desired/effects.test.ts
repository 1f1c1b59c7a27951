/**
 * Every field of a document has an effect, or says here where else it is read: a field that the schema accepts and nobody
 * renders is noticed. The documents in `effects/` hold every field; each is changed in turn, and what is rendered must change.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bare,
  occurrences,
  otherValues,
  schemaFields,
  withValue,
  type Occurrence,
} from '../../test/support/schema-fields.ts';
import { exportAgentbaker } from '../artifacts/inventory/import-agentbaker.ts';
import { completeAgentConfig } from '../config/agent-config.ts';
import { kinds, parseDocument, type DocumentKind } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { NodekilnError } from '../errors.ts';
import type { Facts } from '../model/facts.ts';
import { inPlaceOf } from './in-place.ts';
import { joinOf } from './join.ts';
import { renderImage } from './render-image.ts';
import { renderNode } from './render-node.ts';

/** What is rendered nothing from, and who reads it instead. */
const readElsewhere: Readonly<Record<string, string>> = {
  'NodeConfig metadata.name': 'nobody: a name for people',
  'NodeConfig spec.boot.deadline': 'boot/boot.ts: the budget of the whole boot',
  'ImageManifest metadata.name': 'bake/image-lock.ts: the name of the image',
  ...Object.fromEntries(
    ['absent', 'absent.*', 'present', 'present.*.path', 'present.*.type', 'present.*.mode', 'present.*.owner']
      .concat('present.*.group', 'units', 'units.*.name', 'units.*.state', 'noLogins', 'freeSpace')
      .map((name) => [`ImageManifest spec.verify.${name}`, 'inspect/verify/own-checks.ts: asked by verify']),
  ),
  'AgentConfig metadata.name': 'nobody: a name for people',
  'Inventory metadata.name': 'nobody: a name for people',
};

/** A part with the schema of another kind, whose own documents show its effects. */
const shownElsewhere: Readonly<Record<string, string>> = { ImageManifest: 'spec.nodeConfig.' };

const machines: readonly Facts[] = [
  machine({ id: 'debian', release: '13', variant: 'server' }, { cpu: 'amd64', systemd: 'x86-64' }, '1.7.24'),
  machine({ id: 'azurelinux', release: '3.0' }, { cpu: 'arm64', systemd: 'arm64' }, '2.0.0'),
];

function machine(os: Facts['os'], arch: Facts['arch'], containerdVersion: string): Facts {
  return {
    os,
    arch,
    containerdVersion,
    hostName: 'a',
    cgroupVersion: 2,
    cpus: 2,
    memoryBytes: 1,
    interfaces: [],
    cache: {},
  };
}

const effects: { readonly [Kind in DocumentKind]: (text: string) => Promise<unknown> } = {
  async NodeConfig(text) {
    const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
    const { cluster } = config.spec;
    return machines.map((facts) => ({
      ...shown(renderNode(config, facts)),
      inPlace: inPlaceOf(config.spec),
      join: cluster && joinOf(config.spec, cluster, facts),
    }));
  },
  async ImageManifest(text) {
    const { document } = await parseDocument({ file: 'x', text }, 'ImageManifest');
    return machines.map((facts) => shown(renderImage(document, facts, {})));
  },
  async AgentConfig(text) {
    return completeAgentConfig(await parseDocument({ file: 'x', text }, 'AgentConfig'));
  },
  async Inventory(text) {
    return exportAgentbaker((await parseDocument({ file: 'x', text }, 'Inventory')).document.spec);
  },
};

function shown({ resources, ...rest }: ReturnType<typeof renderNode>): object {
  return { ...rest, resources: [...resources] };
}

/** Undefined when the document is refused. */
async function effectOf(kind: DocumentKind, document: unknown): Promise<string | undefined> {
  try {
    return JSON.stringify(await effects[kind](JSON.stringify(document ?? null)));
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.class === 'document') return undefined;
    throw thrown;
  }
}

/** `effective`, `idle`, or `fixed` when no other value of it is accepted. */
async function tryOut(
  kind: DocumentKind,
  { document, before }: { readonly document: unknown; readonly before: string },
  occurrence: Occurrence,
): Promise<'effective' | 'idle' | 'fixed'> {
  let found: 'idle' | 'fixed' = 'fixed';
  for (const value of [...otherValues(occurrence), undefined]) {
    const after = await effectOf(kind, withValue(document, occurrence.at, value));
    if (after === undefined || value === occurrence.value) continue;
    if (after !== before) return 'effective';
    found = 'idle';
  }
  return found;
}

const files: { readonly [Kind in DocumentKind]: readonly string[] } = {
  NodeConfig: ['node-1.yaml', 'node-2.yaml', 'node-3.yaml', 'node-4.yaml', 'node-5.yaml'],
  ImageManifest: ['image.yaml'],
  AgentConfig: ['agent-1.yaml', 'agent-2.yaml', 'agent-3.yaml'],
  Inventory: ['inventory.yaml'],
};

for (const kind of ['NodeConfig', 'ImageManifest', 'AgentConfig', 'Inventory'] as const) {
  test(`every field of ${kind} has an effect`, async () => {
    const schema = await kinds[kind]();
    const results = new Map<string, Set<string>>();
    for (const file of files[kind]) {
      const text = readFileSync(join(import.meta.dirname, 'effects', file), 'utf8');
      const { document } = await parseDocument({ file, text }, kind);
      const before = await effectOf(kind, document);
      assert.ok(before !== undefined, `${file} is refused`);
      for (const occurrence of occurrences(schema, document)) {
        const path = occurrence.field.path.join('.');
        if (path.startsWith(shownElsewhere[kind] ?? '\0')) continue;
        const known = results.get(path) ?? new Set();
        // One place where it counts is enough: elsewhere another field may stand before it.
        if (!known.has('effective')) known.add(await tryOut(kind, { document, before }, occurrence));
        results.set(path, known);
      }
    }
    const silent = [...schemaFields(schema)]
      .filter(({ schema: field }) => !['object', 'union', 'literal'].includes(bare(field)._zod.def.type))
      .map(({ path }) => path.join('.'))
      .filter((path) => !path.startsWith(shownElsewhere[kind] ?? '\0'));
    const wanting = [...new Set(silent)].filter((path) => !results.get(path)?.has('effective'));
    const declared = Object.keys(readElsewhere).filter((name) => name.startsWith(`${kind} `));
    assert.deepEqual(
      wanting.map((path) => `${kind} ${path}`),
      declared,
      `without an effect: ${wanting.map((path) => `${path} (${[...(results.get(path) ?? ['no example'])].join(', ')})`).join('; ')}`,
    );
  });
}
