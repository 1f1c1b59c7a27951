/** Whose addresses pods have is said by plans and checks: of the cluster, or of a document whatever the cluster says. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { checkDocuments, plan } from '../index.ts';

const cluster = `  cluster: ${JSON.stringify({ server: 'https://a:6443', caBundle: exampleAuthority, bootstrapToken: 'abcdef.0123456789abcdef' })}\n`;
const cni = (words: string): string => `  network: { cni: { type: bridge${words} } }\n`;
const ofNode =
  /^pods have addresses of the podCIDRs that the cluster gives the Node: .* known only when it has joined$/;
const ofDocument = (subnet: string): RegExp =>
  new RegExp(
    String.raw`^node\.yaml:6:\d+: pods have addresses of ${subnet}, whatever podCIDR the cluster gives the Node: every node needs a subnet of its own, .*podRoutes`,
  );

interface Case {
  readonly name: string;
  readonly spec: string;
  readonly note?: RegExp;
  readonly warning?: RegExp;
}

const cases: readonly Case[] = [
  { name: 'a bridge in a cluster', spec: cluster + cni(''), note: ofNode },
  { name: 'a bridge of the podCIDR', spec: cluster + cni(', subnet: podCIDR'), note: ofNode },
  {
    name: 'a bridge with a subnet in a cluster',
    spec: cluster + cni(', subnet: 10.88.0.0/24'),
    warning: ofDocument('10.88.0.0/24'),
  },
  {
    name: 'a bridge with a subnet of IPv6 in a cluster',
    spec: cluster + cni(', subnet: "fd00:88::/64"'),
    warning: ofDocument('fd00:88::/64'),
  },
  { name: 'a bridge without a cluster', spec: cni(', subnet: 10.88.0.0/24') },
  { name: 'somebody else’s network in a cluster', spec: `${cluster}  network: { cni: { type: none } }\n` },
  { name: 'a cluster, and nothing said of networks', spec: cluster },
];

describe('the addresses of pods', () => {
  for (const { name, spec, note, warning } of cases)
    it(`of ${name}`, async () => {
      const text = `apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: { version: 1.34.3 }\n${spec}`;
      const document = { file: 'node.yaml', text };
      const check = await checkDocuments([document]);
      assert.deepEqual(check.problems, []);
      for (const { notes, warnings } of [check, await plan({ documents: [document] })]) {
        const [aboutNotes, aboutWarnings] = [notes, warnings].map((said) =>
          said.filter((one) => one.includes('pods have')),
        );
        assert.equal(aboutNotes?.length, note ? 1 : 0);
        assert.equal(aboutWarnings?.length, warning ? 1 : 0);
        if (note) assert.match(aboutNotes?.[0] ?? '', note);
        if (warning) assert.match(aboutWarnings?.[0] ?? '', warning);
      }
    });
});
