/**
 * What a signal leaves behind of each verb: its folders as they were, or as the verb makes them, and nothing in between. That of
 * bakes and transfers is in their own tests, of agents and boots on real hosts in theirs.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { snapshotTree, type TreeEntry } from '../../test/lab/tree.ts';
import { buildDeb, programBytes, removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { bootResult } from '../../test/support/boot-results.ts';
import { createChance } from '../../test/support/chance.ts';
import { startProgram } from '../../test/support/program.ts';
import { smallRoot } from '../../test/support/small-root.ts';
import { openWeb, type Web } from '../../test/support/web.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const rounds = 3;

let folder = '';
let template = '';
let web: Web;

before(async () => {
  folder = temporaryFolder();
  template = join(folder, 'template');
  mkdirSync(template);
  const deb = buildDeb(folder, {
    name: 'kubelet',
    version: '1.34.3',
    release: '1.1',
    files: { 'usr/bin/kubelet': programBytes(40_000_000, 5) },
  });
  cpSync(deb, join(template, 'kubelet.deb'));
  const root = smallRoot(template);
  cpSync(root, join(template, 'root'), { recursive: true });
  removeFolder(root);
  for (const path of [
    'var/log/a',
    'var/lib/cloud/instances/i',
    'etc/ssh/ssh_host_rsa_key',
    'root/.ssh/authorized_keys',
  ]) {
    mkdirSync(join(template, 'root', path, '..'), { recursive: true });
    writeFileSync(join(template, 'root', path), 'of one machine');
  }
  for (const [name, text] of Object.entries({
    'image.yaml': 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n',
    'node.yaml': 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: {kubernetes: {version: 1.34.3}}\n',
    'result.json': JSON.stringify(bootResult()),
    'components.json': '{"Packages": []}',
  }))
    writeFileSync(join(template, name), text);
  await run(template, ['facts', '--root', 'root', '--json']).then(({ text }) =>
    writeFileSync(join(template, 'facts.json'), JSON.stringify((JSON.parse(text) as { data: unknown }).data)),
  );
  // Says that something comes, and sends no more.
  web = await openWeb((_request, response) => void response.writeHead(200, { 'content-length': 9999 }).write('{'));
});
after(() => {
  web.close();
  removeFolder(folder);
});

interface Ended {
  readonly end: number | NodeJS.Signals | null;
  readonly text: string;
  readonly tookMs: number;
}

async function run(
  at: string,
  args: readonly string[],
  stop?: { signal: NodeJS.Signals; afterMs: number },
): Promise<Ended> {
  const begun = performance.now();
  const { kill, ended } = await startProgram(args, {
    cwd: at,
    env: { HOME: join(at, 'home'), TMPDIR: join(at, 'tmp') },
  });
  if (stop) void sleep(stop.afterMs).then(() => kill(stop.signal));
  return { ...(await ended), tookMs: performance.now() - begun };
}

function place(): string {
  const at = mkdtempSync(join(folder, 'case-'));
  cpSync(template, at, { recursive: true });
  for (const name of ['home', 'tmp']) mkdirSync(join(at, name));
  return at;
}

/** Caches that are kept on purpose are no trace; locks and journals of a root hold nothing of a run that was stopped. */
const tree = (at: string): Promise<readonly TreeEntry[]> =>
  snapshotTree(at, ['/'], { exclude: ['/home/.cache', '/root/var/lib/nodekiln'] });

/** What is there in neither of the two. */
function between(left: readonly TreeEntry[], was: readonly TreeEntry[], done: readonly TreeEntry[]): string[] {
  const known = new Set([...was, ...done].map((entry) => JSON.stringify(entry)));
  return left.map((entry) => JSON.stringify(entry)).filter((entry) => !known.has(entry));
}

describe('stopped by a signal', () => {
  for (const args of [
    ['seal', '--root', 'root'],
    ['verify', '--root', 'root'],
    ['status', '--root', 'root'],
    ['facts', '--root', 'root'],
    ['plan', '--facts', 'facts.json', 'node.yaml'],
    ['config', 'check', 'node.yaml', 'image.yaml'],
    ['config', 'dump', 'node.yaml'],
    ['manifest', 'resolve', 'image.yaml', '--os', 'debian/13', '--arch', 'amd64'],
    ['artifact', 'inspect', 'kubelet.deb'],
    ['artifact', 'extract', 'kubelet.deb', '--member', 'usr/bin/kubelet', '--to', 'out'],
    ['artifact', 'fetch', 'REGISTRY/a:1', '--plain-http', '--to', 'out'],
    ['artifact', 'fetch', 'REGISTRY/a:1', '--plain-http', '--member', 'usr/bin/a', '--to', 'out'],
    [
      'tools-image',
      'resolve',
      '--cluster-version',
      '1.34',
      '--metadata',
      'http://REGISTRY/m',
      '--repository',
      'a.example/b',
    ],
    ['manifest', 'import', 'agentbaker', 'components.json', '--output', 'out.json'],
    ['timeline', '--file', 'result.json', '--svg', 'out.svg', '--trace', 'out.json'],
  ])
    it(`${args.slice(0, 2).join(' ')} leaves nothing of its own`, { timeout: 120_000 }, async (context) => {
      const argv = args.map((word) => word.replace('REGISTRY', web.address));
      const waits = argv.some((word) => word.includes(web.address));
      const undisturbed = place();
      const was = await tree(undisturbed);
      const { tookMs } = waits ? { tookMs: 1000 } : await run(undisturbed, argv);
      const done = await tree(undisturbed);
      const chance = createChance(context);
      for (const signal of signals)
        for (let round = 0; round < rounds; round += 1) {
          const at = place();
          const afterMs = Math.round(chance.next() * tookMs);
          const { end, text } = await run(at, argv, { signal, afterMs });
          const about = `${signal} after ${afterMs} of ${Math.round(tookMs)} ms: ${text}`;
          // It may have ended before, or be one that goes on to its end.
          if (waits) assert.equal(end, signal, about);
          assert.deepEqual(between(await tree(at), was, done), [], about);
          removeFolder(at);
        }
      removeFolder(undisturbed);
    });
});
