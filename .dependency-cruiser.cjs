/** The import rules of docs/architecture.md: one order of rooms, no arrow upward, no circle, effects in their place. */

/** From the ground up. A room imports from rooms below it and from itself; rooms that share a floor never import each other. */
const floors = [
  ['errors.ts'],
  ['model'],
  ['disk'],
  ['host'],
  ['config'],
  ['kube'],
  ['artifacts'],
  ['desired'],
  ['kinds'],
  ['plan'],
  ['telemetry'],
  ['apply'],
  ['image'],
  ['documents'],
  ['bake', 'boot', 'agent', 'fleet', 'inspect', 'tools-image'],
  ['index.ts'],
  ['cli'],
];
const place = (room) => (room.endsWith('.ts') ? room.replace('.', '\\.') + '$' : `${room}/`);
const anyOf = (rooms) => `^src/(${rooms.map(place).join('|')})`;
const tests = '\\.test\\.ts$';

const order = floors.flatMap((rooms, floor) =>
  rooms.flatMap((room) => {
    const above = [...rooms.filter((other) => other !== room), ...floors.slice(floor + 1).flat()];
    return above.length === 0
      ? []
      : [
          {
            name: `floor-${room}`,
            severity: 'error',
            from: { path: anyOf([room]), pathNot: tests },
            to: { path: anyOf(above) },
          },
        ];
  }),
);

const pure = `^src/(model|config|desired|plan)/|^src/artifacts/(manifest-lock|order|match|reference)\\.ts$|^src/image/(image-lock|sbom)\\.ts$|^src/kinds/[^/]+/(schema|plan)\\.ts$|^src/documents/(kinds/|check\\.ts$)|^src/errors\\.ts$`;
const effects =
  '^(node:)?(fs|fs/promises|child_process|net|http|https|dgram|os|process|worker_threads|sqlite|tls|dns|cluster|readline)$';

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true, dependencyTypesNot: ['type-only'] } },
    ...order,
    { name: 'known-floor', severity: 'error', from: {}, to: { path: '^src/', pathNot: anyOf(floors.flat()) } },
    { name: 'pure-no-node-effects', severity: 'error', from: { path: pure, pathNot: tests }, to: { path: effects } },
    {
      name: 'pure-no-effectful-modules',
      severity: 'error',
      from: { path: pure, pathNot: tests },
      to: {
        path: '^src/(disk|host/(linux|memory)|kube)/|^src/artifacts/(formats|sources|cache)/|^src/kinds/[^/]+/apply\\.ts$',
      },
    },
    {
      name: 'production-not-tests',
      severity: 'error',
      from: { path: '^src/', pathNot: tests },
      to: { path: `^(test|bench|tools)/|${tests}` },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: ['.ts', '.js'], conditionNames: ['import', 'node', 'default'] },
  },
};

/** For the drawn picture; dependency-cruiser passes over what it does not know. */
Object.defineProperty(module.exports, 'floors', { value: floors, enumerable: false });
