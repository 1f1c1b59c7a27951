/** Cases from the field, by their numbers: what becomes of units and files on a machine in memory (B, L, X). */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { digestOf, image, ociManifest } from '../../../../test/servers/registry.ts';
import { createEngine, type Engine } from '../../../../test/support/engine.ts';
import { createMemoryNode, textFile } from '../../../../test/support/memory-node.ts';
import { inlineFile, oscOf, renderOsc, type Json } from '../../../../test/support/osc.ts';
import { tar } from '../../../../test/support/tar.ts';
import type { Result } from '../../../apply/reconcile.ts';
import type { MemoryMachine } from '../../../host/memory/machine.ts';

let machine: MemoryMachine;
let engine: Engine;
beforeEach(async () => {
  machine = await createMemoryNode();
  engine = await createEngine(machine);
  const { manifest, blobs = [] } = image([
    tar([
      { name: 'bin/', type: '5' },
      { name: 'bin/tool', content: 'tool' },
    ]),
  ]);
  const known = new Map<string, Uint8Array>(blobs.map((blob) => [`blobs/${digestOf(blob)}`, blob]));
  known.set('manifests/v1', Buffer.from(JSON.stringify(manifest)));
  machine.serve('https://registry.example', ({ url }) => {
    const body = known.get(new URL(url).pathname.replace('/v2/team/tool/', ''));
    return body ? { body, headers: { 'content-type': ociManifest } } : { status: 404 };
  });
});

async function apply(...files: readonly Json[]): Promise<Result> {
  const { resources } = await renderOsc(oscOf({ files }));
  return engine.apply([...resources.values()], { source: 'agent' });
}
const outOf = (filePathInImage: string, path: string): Json => ({
  path,
  permissions: 0o750,
  content: { imageRef: { image: 'registry.example/team/tool:v1', filePathInImage } },
});
const modeOf = async (path: string): Promise<string | undefined> =>
  (await machine.files.stat(path))?.mode.toString(8).padStart(4, '0');

describe('B: a change of units', () => {
  const unit = (name: string, about: Json = {}): Json => ({
    name: `${name}.service`,
    content: `[Service]\nExecStart=/bin/${name}\n[Install]\nWantedBy=multi-user.target\n`,
    ...about,
  });
  const applyUnits = async (...units: readonly Json[]): Promise<string> => {
    const { resources } = await renderOsc(oscOf({ units }));
    return (await engine.apply([...resources.values()], { source: 'agent' })).outcome;
  };
  const jobs = (): string[] =>
    engine.effects().filter((effect) => /^(?:start|stop|restart|reset-failed|enable|disable) /.test(effect));

  it('B8: one that fails once is all that is tried again', async () => {
    assert.equal(await applyUnits(unit('u1'), unit('u2', { enable: false, command: 'stop' })), 'converged');
    machine.units.behave('u2.service', ({ start }) => (start === 1 ? { start: 'fail' } : {}));
    jobs();
    const changed = [unit('u1', { command: 'stop' }), unit('u2')];
    assert.equal(await applyUnits(...changed), 'degraded');
    assert.ok(jobs().includes('stop u1.service'));
    assert.equal(await applyUnits(...changed), 'converged');
    assert.deepEqual(jobs(), ['reset-failed u2.service', 'start u2.service']);
    assert.equal((await machine.units.get('u1.service')).activeState, 'inactive');
  });
});

describe('L: a file out of an image', () => {
  for (const [id, path] of [
    ['L1: in a folder that is there', '/opt/tool'],
    ['L2: in a folder that is not', '/opt/new/folder/tool'],
  ] as const)
    it(`${id} has the mode that is asked for`, async () => {
      await machine.files.write([{ type: 'directory', path: '/opt', mode: 0o755, uid: 0, gid: 0 }]);
      assert.equal((await apply(outOf('/bin/tool', path))).outcome, 'converged');
      assert.deepEqual([await engine.text(path), await modeOf(path)], ['tool', '0750']);
    });

  it('L4, L7: that is a folder there is none, and that is said', async () => {
    const { outcome, steps } = await apply(outOf('/bin', '/opt/tool'), inlineFile('/etc/a', 'x'));
    const failed = steps.filter(({ status }) => status === 'failed');
    assert.deepEqual([outcome, failed.map(({ resource }) => resource)], ['degraded', ['file:/opt/tool']]);
    assert.match(JSON.stringify(failed), /NK_ARTIFACT_MEMBER/);
    assert.deepEqual([await engine.text('/opt/tool'), await engine.text('/etc/a')], [undefined, 'x']);
  });

  it('L5, L7: takes the place of no folder with something in it', async () => {
    await machine.files.write([
      { type: 'directory', path: '/opt/tool', mode: 0o755, uid: 0, gid: 0 },
      textFile('/opt/tool/theirs', 'x'),
    ]);
    const { outcome, steps } = await apply(outOf('/bin/tool', '/opt/tool'));
    assert.notEqual(outcome, 'converged');
    assert.deepEqual(
      steps.filter(({ status }) => status === 'failed').map(({ resource }) => resource),
      ['file:/opt/tool'],
    );
    assert.equal(await engine.text('/opt/tool/theirs'), 'x');
  });
});

describe('X: a file of a document', () => {
  for (const mode of ['0777', '0664', '0600'])
    it(`X6: of mode ${mode} has exactly that`, async () => {
      await apply(inlineFile('/etc/a', 'x', { permissions: Number.parseInt(mode, 8) }));
      assert.equal(await modeOf('/etc/a'), mode);
    });
});
