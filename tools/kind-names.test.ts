import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kindNames } from './kind-names.ts';

describe('names of kinds', () => {
  const named: readonly (readonly [string, string])[] = [
    ['a kind as text', `if (resource.kind === 'unit') start();`],
    ['a case', `switch (kind) { case "extension": break; }`],
    ['the start of an id', 'const id = `unit:${name}`;'],
    ['an id', `const goal = 'unit:kubelet.service';`],
    ['a slice by length', `const name = id.slice('file:'.length);`],
    ['an import from a kind', `import { isRunning } from '../kinds/unit/plan.ts';`],
    ['a late import', `const { merge } = await import('../kinds/extension/merge.ts');`],
    ['a type of a kind', `import type { BinaryResource } from '../model/resources.ts';`],
    ['an observation of a kind', `function of(seen: ContainerImageObservation) {}`],
  ];
  for (const [what, source] of named)
    test(`${what} is found`, () => assert.equal(kindNames(`\n${source}`)[0]?.line, 2, source));

  test('comments, other words and tables of all kinds are none', () => {
    const source = `
      // A unit is restarted once.
      /** \`file:\` ids */
      import { readsOf } from '../kinds/planners.ts';
      import { observe } from '../kinds/performers.ts';
      const words = ['units', 'filed', 'a file', 'profile:x', resource.kind, action.unit, { file: 1 }];
      throw new Error(\`\${id} is no file: \${why}\`);
    `;
    assert.deepEqual(kindNames(source), []);
  });
});
