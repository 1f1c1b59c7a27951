/** Checks the import rules with dependency-cruiser, and that it really saw the sources: without a TypeScript compiler it silently sees none. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const fewestModules = 40;

const result = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    'src',
  ],
  { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
);
if (result.error) throw result.error;
const report = JSON.parse(result.stdout) as {
  summary: {
    totalCruised: number;
    totalDependenciesCruised: number;
    violations: { from: string; to: string; rule: { name: string } }[];
  };
};
for (const { rule, from, to } of report.summary.violations) console.error(`${rule.name}: ${from} → ${to}`);
const { totalCruised, totalDependenciesCruised, violations } = report.summary;
if (totalCruised < fewestModules || totalDependenciesCruised < totalCruised) {
  console.error(
    `only ${totalCruised} modules and ${totalDependenciesCruised} imports were seen: the checker does not read TypeScript`,
  );
  process.exitCode = 1;
} else if (violations.length > 0) {
  process.exitCode = 1;
} else {
  console.log(`${totalCruised} modules, ${totalDependenciesCruised} imports, no rule broken`);
}
