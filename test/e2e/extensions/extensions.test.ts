/**
 * Kubernetes out of system extensions, on hosts of the oldest and the newest systemd the lab has: one refresh for all,
 * back to what was when it fails, nothing started that is not configured, nothing merged that does not fit.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exitStatus } from '../../../src/errors.ts';
import { nodeBinary } from '../../../tools/build.ts';
import { placeProgram, programPath as program } from '../../demo/host-program.ts';
import { kubelet } from '../../lab/binaries.ts';
import { networkAddress, openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { waitHttp } from '../../lab/probe.ts';
import { derivedRoot, type Suite } from '../../lab/root.ts';
import { artifact, startRegistry, type TestRegistry } from '../../servers/registry.ts';
import { makeImage, makeTree } from './images.ts';

const suites: readonly Suite[] = ['bookworm', 'trixie'];
const registryPort = 5000;
/** The registry as some mirrors are: it gives artifacts, but lists no tags. */
const listlessPort = 5001;
const listless = `require('node:http').createServer((asked, answer) => {
  if (asked.url.includes('/tags/list')) return answer.writeHead(405, { 'content-type': 'application/json' }).end('{}');
  require('node:http').get({ host: '${networkAddress}', port: ${registryPort}, path: asked.url, headers: asked.headers, method: asked.method }, (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  });
}).listen(${listlessPort}, '${networkAddress}')`;
const architecture = process.arch === 'arm64' ? 'arm64' : 'x86-64';
const refreshes = '/var/log/sysext-refreshes';

/** Notes each refresh. When told to, it fails as one of systemd 252 does: with nothing merged any more. */
const wrapper = `#!/bin/sh
case "$*" in
  *refresh*)
    if [ -e /run/refresh-fails ]; then rm /run/refresh-fails; /usr/bin/systemd-sysext unmerge; echo "no more loop devices" >&2; exit 1; fi
    /usr/bin/systemd-sysext "$@" && echo "$*" >>${refreshes};;
  *) exec /usr/bin/systemd-sysext "$@";;
esac
`;

/** What the units of a published kubelet extension do: start kubelet as soon as they are merged. */
const eager = {
  'usr/lib/systemd/system/kubelet.service': '[Service]\nExecStart=/usr/bin/kubelet\n',
  'usr/lib/systemd/system/multi-user.target.d/10-kubelet-kubelet.conf': '[Unit]\nUpholds=kubelet.service\n',
  'usr/lib/systemd/system/eager.service': '[Service]\nExecStart=/bin/sleep infinity\n',
  'usr/lib/systemd/system/multi-user.target.d/20-eager.conf': '[Unit]\nUpholds=eager.service\n',
  'usr/lib/systemd/system/kubelet.service.d/10-extension.conf': '[Service]\nEnvironment=FROM_EXTENSION=yes\n',
};

const eagerLinks = { 'usr/lib/systemd/system/multi-user.target.wants/eager.service': '../eager.service' };

interface Result {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string } | null;
}

describe('system extensions', { concurrency: 1 }, () => {
  let work = '';
  let registry: TestRegistry | undefined;

  before(async () => {
    work = await mkdtemp(join(tmpdir(), 'nodekiln-extensions-'));
    const [first, second] = [await kubelet('v1.34.3'), await kubelet('v1.34.4')];
    const image = (name: string): string => join(work, name);
    const kubernetes = (from: string) => ({
      name: 'kubernetes',
      programs: { kubelet: { from }, kubectl: { script: 'echo kubectl' } },
      files: eager,
      links: eagerLinks,
    });
    await mkdir(join(work, 'local'));
    await makeImage(image(`local/kubernetes-v1.34.3-1-azlinux3-${architecture}.raw`), kubernetes(first));
    await makeImage(image('second.raw'), kubernetes(second), 'erofs');

    const tool = (script: string, more = {}) => ({ name: 'tool', programs: { tool: { script } }, ...more });
    await makeImage(image('local/tool.raw'), tool('echo one'));
    await makeImage(
      image('local/tool-2.raw'),
      tool('echo two', { files: { 'usr/share/tool/data': 'data '.repeat(20_000) } }),
      'erofs',
    );
    await makeTree(image('local/folder'), { name: 'folder', programs: { folder: { script: 'echo folder' } } });
    await makeImage(image('local/stranger.raw'), tool('', { release: 'ID=flatcar\nVERSION_ID=1\n' }));
    await makeImage(image('local/older.raw'), tool('', { release: 'ID=debian\nVERSION_ID=11\n' }));
    await makeImage(image('local/alien.raw'), tool('', { release: 'ID=_any\nARCHITECTURE=s390x\n' }));
    await makeImage(image('local/named.raw'), { ...tool(''), name: 'other' });
    await makeImage(image('local/opt.raw'), tool('', { files: { 'opt/bin/sh': 'x' } }));
    await makeImage(image('local/etc.raw'), tool('', { files: { 'etc/passwd': 'x' } }));
    await makeImage(image('local/empty.raw'), { name: 'tool' });
    await cp(image('local/tool-2.raw'), image('local/short-erofs.raw'));
    await truncate(image('local/short-erofs.raw'), 4096);
    await cp(image(`local/kubernetes-v1.34.3-1-azlinux3-${architecture}.raw`), image('local/short.raw'));
    await truncate(image('local/short.raw'), 1_000_000);
    await writeFile(image('local/page.raw'), '<html>not found</html>');

    registry = await startRegistry();
    for (const tag of [
      `v1.34.4-2-azlinux3-${architecture}`,
      `v1.34.40-1-azlinux3-${architecture}`,
      'v1.34.4-3-azlinux3-ppc64',
    ]) {
      const right = tag.startsWith('v1.34.4-2');
      const content = right ? await readFile(image('second.raw')) : Buffer.from('another build');
      await registry.push({ repository: 'extensions/kubernetes', tag, ...artifact({ 'kubernetes.raw': content }) });
    }
  });
  after(async () => {
    await registry?.close();
    await rm(work, { recursive: true, force: true });
  });

  for (const suite of suites) {
    describe(`on ${suite}`, { concurrency: 1 }, () => {
      let lab: Lab;
      let host: LabHost;

      before(async () => {
        lab = await openLab();
        const root = await derivedRoot(suite, { packages: ['containerd', 'runc', 'containernetworking-plugins'] });
        host = await lab.host({
          name: `extensions-${suite}`,
          root,
          network: true,
          seeds: ['/opt', '/var/lib/containerd'],
          prepare: async (disk) => {
            await placeProgram(disk);
            await cp(join(work, 'local'), join(disk, 'opt/extensions'), { recursive: true });
            await mkdir(join(disk, 'usr/local/bin'), { recursive: true });
            await writeFile(join(disk, 'usr/local/bin/systemd-sysext'), wrapper, { mode: 0o755 });
          },
        });
        const config = join(work, `registry-${suite}.json`);
        const settings = {
          version: 0.1,
          log: { level: 'error', accesslog: { disabled: true } },
          storage: { filesystem: { rootdirectory: registry?.storage } },
          http: { addr: `${networkAddress}:${registryPort}` },
        };
        await writeFile(config, JSON.stringify(settings));
        lab.spawnInNetwork(['docker-registry', 'serve', config], { stdio: 'ignore' });
        lab.spawnInNetwork([nodeBinary, '-e', listless], { stdio: 'ignore' });
        await host.start();
        await host.waitRunning(60_000);
      });
      after(() => lab?.close());

      test('kubelet and a folder come with one refresh, and nothing starts before it is configured', async () => {
        await apply(['kubernetes', 'folder']);
        await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
        assert.equal(await kubeletVersion(), 'Kubernetes v1.34.3');
        assert.equal(await said(['/opt/bin/folder']), 'folder');
        assert.equal(await said(['readlink', '/opt/bin/kubelet']), '/usr/bin/kubelet');
        assert.equal(await refreshCount(), 1);
        // As every unit that this extension's drop-ins and links name.
        const upheld = await said(['systemctl', 'show', '--property=Upholds,Wants', 'multi-user.target']);
        assert.doesNotMatch(upheld, /Upholds=.*(?:kubelet|eager)/);
        assert.doesNotMatch(upheld, /eager/);
        assert.equal(
          await said(['systemctl', 'show', '--property=ActiveEnterTimestampMonotonic', 'eager.service']),
          'ActiveEnterTimestampMonotonic=0',
        );
        const starts = await said(['journalctl', '--unit=kubelet.service', '--output=cat', '--grep=^Started']);
        assert.equal(starts.split('\n').length, 1);
        // The extension's other drop-ins are in force: systemd has read them before the start.
        assert.match(
          await said(['systemctl', 'show', '--property=Environment', 'kubelet.service']),
          /FROM_EXTENSION=yes/,
        );
        assert.equal(
          await said(['readlink', '/etc/systemd/system/multi-user.target.d/10-kubelet-kubelet.conf']),
          '/dev/null',
        );
        assert.equal(await said(['find', '/var/lib/nodekiln/extensions', '-name', '.nodekiln-tmp-*']), '');
        await host.waitRunning(30_000);
      });

      test('again there is nothing to do', async () => {
        const invocation = await kubeletInvocation();
        await apply(['kubernetes', 'folder']);
        assert.equal(await refreshCount(), 0);
        assert.equal(await kubeletInvocation(), invocation);
      });

      test('the next version comes from the registry by its tags, with one refresh and one restart of kubelet', async () => {
        const invocation = await kubeletInvocation();
        const plan = await said([program, 'plan', await documentFile(['kubernetes-next', 'folder', 'tool'])]);
        assert.match(plan, /merge extensions/);
        assert.match(plan, /extension:kubernetes 1\.34\.4\s+local\s+refused\s+\/opt\/extensions holds no/);
        assert.match(plan, /registry\s+next\s+10\.77\.0\.254:5000\/extensions\/kubernetes/);
        await apply(['kubernetes-next', 'folder', 'tool']);
        await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
        assert.equal(await kubeletVersion(), 'Kubernetes v1.34.4');
        assert.equal(await said(['/opt/bin/tool']), 'one');
        assert.equal(await refreshCount(), 1);
        assert.notEqual(await kubeletInvocation(), invocation);
        const link = await said(['readlink', '/etc/extensions/kubernetes.raw']);
        assert.equal(link, `/var/lib/nodekiln/extensions/kubernetes-v1.34.4-2-azlinux3-${architecture}.raw`);
      });

      test('a refresh that fails leaves what was merged before', async () => {
        const before = await state();
        await host.check(['touch', '/run/refresh-fails']);
        const { error } = await apply(['kubernetes-next', 'folder', 'tool-next'], exitStatus.host);
        assert.equal(error?.code, 'NK_EXTENSION_MERGE');
        assert.deepEqual(await state(), before);
        assert.equal(await said(['/opt/bin/tool']), 'one');
        assert.equal(await kubeletVersion(), 'Kubernetes v1.34.4');
        // The next run makes good for it.
        await apply(['kubernetes-next', 'folder', 'tool-next']);
        assert.equal(await said(['/opt/bin/tool']), 'two');
      });

      test('what is killed before or after the refresh is taken up by the next run', async () => {
        await host.check(['mkdir', '/var/lib/nodekiln/extensions/.nodekiln-tmp-1-0-1']);
        for (const moment of ['before', 'after']) {
          const act = `kill -9 $PPID`;
          const killing = moment === 'before' ? `${act}; exit 1` : `/usr/bin/systemd-sysext refresh; ${act}`;
          await host.writeFile('/run/sysext-kill/systemd-sysext', `#!/bin/sh\n${killing}\n`, { mode: 0o755 });
          await host.writeFile(
            '/etc/nodekiln/conf.d/10-node.yaml',
            documentText(['kubernetes-next', 'folder', moment === 'before' ? 'tool' : 'tool-next']),
            { mode: 0o600 },
          );
          const path = '/run/sysext-kill:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
          const killed = await host.exec([program, 'boot', '--json'], { env: { PATH: path } });
          assert.notEqual(killed.status, 0);
          await apply(['kubernetes-next', 'folder', moment === 'before' ? 'tool' : 'tool-next']);
          assert.equal(await said(['/opt/bin/tool']), moment === 'before' ? 'one' : 'two');
        }
        assert.equal(await said(['find', '/var/lib/nodekiln/extensions', '-name', '.nodekiln-tmp-*']), '');
      });

      for (const [name, code, why] of [
        ['stranger', 'NK_EXTENSION_REFUSED', /it is for flatcar, this host is debian/],
        ['older', 'NK_EXTENSION_REFUSED', /it is for debian 11, this host is debian 1[23]/],
        ['alien', 'NK_EXTENSION_REFUSED', /it is for s390x/],
        ['named', 'NK_EXTENSION_REFUSED', /has no extension-release\.tool, only extension-release\.other/],
        ['opt', 'NK_EXTENSION_REFUSED', /content in \/opt: bin/],
        ['etc', 'NK_EXTENSION_REFUSED', /content in \/etc: passwd/],
        ['empty', 'NK_ARTIFACT_MEMBER', /has no \/usr\/bin\/tool/],
        ['short', 'NK_ARTIFACT_UNREADABLE', /is truncated: it has 1000000 bytes/],
        ['short-erofs', 'NK_ARTIFACT_UNREADABLE', /is truncated: it has 4096 bytes/],
        ['page', 'NK_ARTIFACT_UNREADABLE', /no squashfs or erofs/],
        ['missing', 'NK_ARTIFACT_MISSING', /missing\.raw/],
      ] as const) {
        test(`one of two is refused (${name}), so both stay as they are`, async () => {
          const before = await state();
          const { error } = await apply(['kubernetes', 'folder', `tool=${name}.raw`], exitStatus.artifact);
          assert.equal(error?.code, code);
          assert.match(error.message, why);
          assert.deepEqual(await state(), before);
          assert.equal(await refreshCount(), 0);
        });
      }

      test('no tag of the version, and tags that cannot be listed, are told apart', async () => {
        const none = await apply(['kubernetes-none'], exitStatus.artifact);
        assert.equal(none.error?.code, 'NK_ARTIFACT_MISSING');
        assert.match(none.error.message, /no tag of .* is kubernetes 1\.34\.41/);
        // What was fetched before would serve.
        await host.exec(['sh', '-c', 'rm /var/lib/nodekiln/extensions/*.raw']);
        const unlisted = await apply(['kubernetes-listless'], exitStatus.network);
        assert.equal(unlisted.error?.code, 'NK_TAGS_UNAVAILABLE');
        // With a revision the tag is made from it: it is asked for and there is none of the first, and one of the second.
        const wrong = await apply(['kubernetes-listless-1-azlinux3'], exitStatus.artifact);
        assert.match(wrong.error?.message ?? '', /v1\.34\.4-1-azlinux3/);
        await apply(['kubernetes-listless-2-azlinux3', 'folder', 'tool']);
        assert.equal(await kubeletVersion(), 'Kubernetes v1.34.4');
      });

      test(
        'back to the version before without a network, after a reboot as before it',
        { timeout: 120_000 },
        async () => {
          await host.cutNetwork();
          await apply(['kubernetes', 'folder']);
          assert.equal(await kubeletVersion(), 'Kubernetes v1.34.3');
          assert.equal((await host.exec(['test', '-e', '/opt/bin/tool'])).status, 1);
          await apply(['kubernetes-next', 'folder']);
          assert.equal(await kubeletVersion(), 'Kubernetes v1.34.4');
          await host.reboot(60_000);
          await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
          assert.equal(await kubeletVersion(), 'Kubernetes v1.34.4');
          assert.equal(await said(['systemctl', 'is-active', 'eager.service'], 3), 'inactive');
          await apply(['kubernetes-next', 'folder']);
          assert.equal(await refreshCount(), 0);
        },
      );

      test('an extension that nobody asks for goes, with its links', async () => {
        await apply(['kubernetes-next']);
        assert.equal(await refreshCount(), 1);
        assert.equal((await host.exec(['test', '-e', '/usr/bin/folder'])).status, 1);
        assert.equal(await said(['ls', '/etc/extensions']), 'kubernetes.raw');
        assert.equal(await said(['ls', '/opt/bin']), 'kubectl\nkubelet');
        await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
      });

      // ── helpers ────────────────────────────────────────────────────────────────────────────────────────────────

      async function said(argv: readonly string[], status = 0): Promise<string> {
        const result = await host.exec(argv);
        assert.equal(result.status, status, `${argv.join(' ')}: ${result.stdout}${result.stderr}`);
        return result.stdout.trim();
      }

      function kubeletVersion(): Promise<string> {
        return said(['/opt/bin/kubelet', '--version']);
      }

      function kubeletInvocation(): Promise<string> {
        return said(['systemctl', 'show', '--property=InvocationID', 'kubelet.service']);
      }

      /** Since the last `apply` began. */
      async function refreshCount(): Promise<number> {
        const { stdout } = await host.exec(['cat', refreshes]);
        return stdout.split('\n').filter(Boolean).length;
      }

      /** All that must not change when a merge is refused. */
      async function state(): Promise<unknown> {
        const tree = await host.tree(['/etc/extensions', '/opt/bin', '/etc/systemd']);
        const status = JSON.parse(await said(['systemd-sysext', 'status', '--json=short'])) as {
          extensions: unknown;
        }[];
        return [
          tree.filter(({ type }) => type !== 'directory'),
          status.map(({ extensions }) => extensions),
          await kubeletInvocation(),
        ];
      }

      async function documentFile(names: readonly string[]): Promise<string> {
        await host.writeFile('/root/next.yaml', documentText(names), { mode: 0o600 });
        return '/root/next.yaml';
      }

      async function apply(names: readonly string[], status = 0): Promise<Result> {
        await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', documentText(names), { mode: 0o600 });
        await host.exec(['rm', '-f', refreshes]);
        const result = await host.exec([program, 'boot', '--json'], { timeoutMs: 120_000 });
        assert.equal(result.status, status, result.stdout + result.stderr);
        return JSON.parse(result.stdout) as Result;
      }
    });
  }
});

/** `tool=FILE` takes the extension `tool` from the file. */
function documentText(names: readonly string[]): string {
  const extensions = names.map((name) => {
    const [known = '', file] = name.split('=');
    if (file !== undefined) return `    - { name: ${known}, path: /opt/extensions/${file} }`;
    switch (name) {
      case 'folder':
        return '    - { name: folder, path: /opt/extensions/folder }';
      case 'tool':
        return '    - { name: tool, path: /opt/extensions/tool.raw }';
      case 'tool-next':
        return '    - { name: tool, path: /opt/extensions/tool-2.raw }';
      default: {
        const [, revision] = name.split('listless-');
        const unlisted = name.includes('listless');
        const version = name.endsWith('-none') ? '1.34.41' : unlisted || name.endsWith('-next') ? '1.34.4' : '1.34.3';
        return `    - name: kubernetes
      version: ${version}
      ${unlisted || name.endsWith('-none') ? '' : 'path: /opt/extensions'}
      ${revision === undefined ? '' : `revision: ${revision}`}
      registry: ${networkAddress}:${unlisted ? listlessPort : registryPort}/extensions/kubernetes
      plainHttp: true`;
      }
    }
  });
  return `apiVersion: nodekiln.dev/v1alpha1
kind: NodeConfig
spec:
  kubernetes: { version: 1.34.3 }
  containerd: { restrictOomScoreAdj: true }
  binaries: { transfer: { budget: 20s } }
  extensions:
${extensions.join('\n')}
`;
}
