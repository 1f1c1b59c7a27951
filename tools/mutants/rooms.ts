/** The pure rooms whose mutants are run, each with the tests that must notice them, those nearest first. */
export interface Room {
  readonly name: string;
  /** Patterns; tests among them are left out. */
  readonly sources: readonly string[];
  readonly tests: readonly string[];
}

/** Too slow for every mutant, or a matter of chance or of the machine: what notices stands in the tests beside them. */
const slow = [
  'src/model/version-order.test.ts',
  'src/model/version.property.test.ts',
  'src/plan/growth.test.ts',
  'src/kinds/binary/binary.test.ts',
  'src/desired/effects.test.ts',
];

export const rooms: readonly Room[] = [
  { name: 'model', sources: ['src/model/*.ts'], tests: ['src/model/*.test.ts'] },
  { name: 'config', sources: ['src/config/**/*.ts'], tests: ['src/config/**/*.test.ts', 'src/desired/render.test.ts'] },
  {
    name: 'artifacts',
    sources: ['src/artifacts/{order,match,reference,extract}.ts'],
    tests: ['src/artifacts/{order,match,reference,extract.memory,cases}.test.ts'],
  },
  { name: 'desired', sources: ['src/desired/**/*.ts'], tests: ['src/desired/**/*.test.ts'] },
  {
    name: 'kinds',
    sources: ['src/kinds/*/plan.ts'],
    // Not those of what is performed: they reach every planner, and each change of one would make all verdicts old.
    tests: ['src/kinds/*/{plan,extension}.test.ts', 'src/plan/*.test.ts'],
  },
  { name: 'plan', sources: ['src/plan/*.ts'], tests: ['src/plan/*.test.ts'] },
].map((room) => ({ ...room, tests: [...room.tests, ...slow.map((file) => `!${file}`)] }));
