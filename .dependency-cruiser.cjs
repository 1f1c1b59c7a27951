/** The two import rules of docs/architecture.md, and no cycles. */
const pure = '^src/(config|desired|plan)/|^src/artifacts/(version|lock)|^src/image/(lock|sbom)\\.ts$|^src/kinds/[^/]+/(schema|plan)\\.ts$|^src/errors\\.ts$';
const effects =
  '^(node:)?(fs|fs/promises|child_process|net|http|https|dgram|os|process|worker_threads|sqlite|tls|dns|cluster|readline)$';
const moments = ['bake', 'boot', 'agent', 'fleet', 'inspect'];
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true, dependencyTypesNot: ['type-only'] } },
    { name: 'pure-no-node-effects', severity: 'error', from: { path: pure, pathNot: '\\.test\\.ts$' }, to: { path: effects } },
    {
      name: 'pure-no-effectful-modules',
      severity: 'error',
      from: { path: pure, pathNot: '\\.test\\.ts$' },
      to: {
        path: '^src/(host/(linux|memory)|apply|bake|boot|agent|fleet|inspect|cli|kube|telemetry|artifacts/(formats|sources|cache))|^src/kinds/[^/]+/apply\\.ts$',
      },
    },
    ...moments.map((m) => ({
      name: `moment-${m}-alone`,
      severity: 'error',
      from: { path: `^src/${m}/` },
      to: { path: `^src/(cli|${moments.filter((o) => o !== m).join('|')})/` },
    })),
    { name: 'only-cli-imports-cli', severity: 'error', from: { path: '^src/', pathNot: '^src/cli/' }, to: { path: '^src/cli/' } },
    { name: 'production-not-tests', severity: 'error', from: { path: '^src/', pathNot: '\\.test\\.ts$' }, to: { path: '^(test|bench|tools)/|\\.test\\.ts$' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: ['.ts', '.js'], conditionNames: ['import', 'node', 'default'] },
  },
};
