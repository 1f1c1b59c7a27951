/**
 * Says what a NodeConfig would do to a machine that is not at hand, and which of some packages its kubelet would be:
 *
 *     node examples/programs/plan-anywhere.ts examples/demo/node.yaml
 *
 * Plain Node 24 runs it as it stands; with esbuild it becomes one file.
 */
import { readFile } from 'node:fs/promises';
import {
  exampleFacts,
  matchBuild,
  NodekilnError,
  parseDocument,
  plan,
  resolveNodeConfig,
  type Candidate,
} from '../../src/index.ts';

const [file = 'examples/demo/node.yaml'] = process.argv.slice(2);

try {
  const document = await parseDocument({ file, text: await readFile(file, 'utf8') }, 'NodeConfig');
  const { version } = resolveNodeConfig([document]).config.spec.kubernetes;

  // What an image of this machine would have cached: a plan says first what no source serves.
  const facts = { ...exampleFacts, containerdVersion: '2.1.0', cache: { kubelet: [version], kubectl: [version] } };
  const { steps, impact, warnings, goal } = await plan({ documents: [document], facts });
  for (const warning of warnings) console.log(`warning: ${warning}`);
  console.log(`${steps.filter(({ phase }) => phase === 'goal').length} steps until ${goal}:`);
  for (const { id, why } of steps.slice(0, 3)) console.log(`  ${id}: ${why}`);
  console.log(`starts: ${impact.map(({ unit }) => unit).join(', ')}`);

  const packages: readonly Candidate[] = ['1.34.3-1.1', '1.34.30-1.1', '1.34.3-1.2'].map((revision) => ({
    file: `kubelet_${revision}_amd64.deb`,
    name: 'kubelet',
    version: revision,
    architecture: 'amd64',
  }));
  const { chosen } = matchBuild({ kind: 'deb', component: 'kubelet', version, architecture: 'amd64' }, packages);
  console.log(`kubelet ${version}: ${chosen?.file ?? 'none of the packages'}`);
} catch (thrown) {
  if (!(thrown instanceof NodekilnError)) throw thrown;
  console.error(`${thrown.code}: ${thrown.message}`);
  process.exitCode = thrown.exitStatus;
}
