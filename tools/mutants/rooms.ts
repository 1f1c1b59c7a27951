/** The pure rooms whose mutants are run, each with the tests that must notice them, those nearest first. */
export interface Room {
  readonly name: string;
  /** Patterns; tests among them are left out. */
  readonly sources: readonly string[];
  readonly tests: readonly string[];
}

/** Tests that ask other programs about what the neighbours hold against recorded answers: too slow for every mutant. */
const slow = ['src/model/version-order.test.ts'];

export const rooms: readonly Room[] = [
  { name: 'model', sources: ['src/model/*.ts'], tests: ['src/model/*.test.ts'] },
  { name: 'config', sources: ['src/config/**/*.ts'], tests: ['src/config/**/*.test.ts', 'src/desired/*.test.ts'] },
  {
    name: 'artifacts',
    sources: ['src/artifacts/{order,match,reference}.ts'],
    tests: ['src/artifacts/{order,match,reference,cases}.test.ts'],
  },
  { name: 'desired', sources: ['src/desired/**/*.ts'], tests: ['src/desired/**/*.test.ts'] },
  {
    name: 'kinds',
    sources: ['src/kinds/*/plan.ts'],
    tests: ['src/kinds/**/*.test.ts', 'src/plan/*.test.ts'],
  },
  { name: 'plan', sources: ['src/plan/*.ts'], tests: ['src/plan/*.test.ts'] },
].map((room) => ({ ...room, tests: [...room.tests, ...slow.map((file) => `!${file}`)] }));
