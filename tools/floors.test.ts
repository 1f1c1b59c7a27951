import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawHouse, upward } from './floors.ts';

const floors = [['errors'], ['model'], ['bake', 'boot']];
const down = { from: 'boot', to: 'model' };
const up = { from: 'errors', to: 'model' };
const beside = { from: 'bake', to: 'boot' };

test('an arrow to a room above or beside goes up', () => {
  assert.deepEqual(upward({ floors, arrows: [down, up, beside] }), [up, beside]);
});

test('the picture has every room and tells every arrow, those that go up in red', () => {
  const svg = drawHouse({ floors, arrows: [down, up] });
  for (const room of floors.flat()) assert.ok(svg.includes(`>${room}</text>`), room);
  assert.match(svg, /stroke="#59c".*boot imports model</);
  assert.match(svg, /stroke="#c00".*errors imports model</);
});
