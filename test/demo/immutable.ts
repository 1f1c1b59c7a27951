/**
 * `./dev demo --immutable`: a host whose /usr is read-only, as of an image-based system, and has no kubelet: that comes
 * from a system extension. It boots healthy, switches the version with one refresh, and reboots without us.
 */
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeImage } from '../e2e/extensions/images.ts';
import { kubelet } from '../lab/binaries.ts';
import { cacheFolder } from '../lab/cache.ts';
import { openLab, type LabHost } from '../lab/lab.ts';
import { artifacts } from '../lab/packages.ts';
import { installPrerequisites } from '../lab/prerequisites.ts';
import { waitHttp } from '../lab/probe.ts';
import { derivedRoot } from '../lab/root.ts';
import { run } from '../lab/run.ts';
import { StageFailure } from './demo.ts';
import { placeProgram, programPath as program } from './host-program.ts';
import type { StageName } from './sabotage.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'x86-64';

/** The whole of /usr is read-only from the first moment of userspace on, below whatever is merged over it. */
const readOnlyUsr = `[Unit]
DefaultDependencies=no
After=nodekiln-lab-early.service
Before=systemd-sysext.service nodekiln-boot.service sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount --rbind /usr /usr
ExecStart=/bin/mount -o remount,bind,ro /usr

[Install]
WantedBy=sysinit.target
`;

const bootUnit = `[Unit]
DefaultDependencies=no
RequiresMountsFor=/var/lib/nodekiln /opt
After=local-fs.target systemd-journald.socket read-only-usr.service nodekiln-lab-early.service

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=NODEKILN_UNIT=%n
ExecStart=${program} boot

[Install]
WantedBy=multi-user.target
`;

export async function runImmutable(say: (line: string) => void): Promise<void> {
  let stage: StageName = 'prepare';
  const enter = (name: StageName, about: string): void => {
    stage = name;
    say(`\n── ${name} ${'─'.repeat(Math.max(0, 12 - name.length))} ${about}`);
  };
  const base = join(cacheFolder(), 'demo');
  await mkdir(base, { recursive: true });
  const work = await mkdtemp(join(base, 'immutable-'));
  const lab = await openLab();
  try {
    enter('prepare', 'two system extensions with a kubelet each, and a root with containerd alone');
    await installPrerequisites(say);
    const root = await derivedRoot('trixie', { packages: ['containerd', 'runc', 'containernetworking-plugins'] }, say);
    const { dir, kubectl } = await artifacts(say);
    const member = `dpkg-deb --fsys-tarfile ${join(dir, kubectl.forky.file)} | tar -xO ./usr/bin/kubectl`;
    await run(['sh', '-c', `${member} >${join(work, 'kubectl')}`]);
    for (const version of ['v1.34.3', 'v1.34.4'] as const) {
      const file = join(work, `kubernetes-${version}-1-demo-${architecture}.raw`);
      await makeImage(file, {
        name: 'kubernetes',
        release: 'ID=debian\nVERSION_ID=13\n',
        programs: { kubelet: { from: await kubelet(version, say) }, kubectl: { from: join(work, 'kubectl') } },
        // What published extensions bring, and what would start kubelet before it is configured.
        files: { 'usr/lib/systemd/system/multi-user.target.d/10-kubelet.conf': '[Unit]\nUpholds=kubelet.service\n' },
      });
    }
    await rm(join(work, 'kubectl'));
    say('ready: kubernetes 1.34.3 and 1.34.4 as squashfs images');

    enter('boot', 'a host with a read-only /usr; kubelet out of an extension');
    const host = await lab.host({
      name: 'immutable',
      root,
      seeds: ['/opt', '/var/lib/containerd'],
      prepare: async (disk) => {
        await placeProgram(disk);
        await cp(work, join(disk, 'opt/extensions'), { recursive: true });
        await mkdir(join(disk, 'etc/nodekiln/conf.d'), { recursive: true });
        await writeFile(join(disk, 'etc/nodekiln/conf.d/10-node.yaml'), documentText('1.34.3'), { mode: 0o600 });
        for (const [name, wanted, text] of [
          ['read-only-usr.service', 'sysinit.target.wants', readOnlyUsr],
          ['nodekiln-boot.service', 'multi-user.target.wants', bootUnit],
        ] as const) {
          const folder = join(disk, 'etc/systemd/system');
          await mkdir(join(folder, wanted), { recursive: true });
          await writeFile(join(folder, name), text);
          await symlink(`../${name}`, join(folder, wanted, name));
        }
      },
    });
    await host.start();
    await host.waitRunning(120_000);
    await healthy(host, 'v1.34.3');
    const refused = await host.exec(['touch', '/usr/written']);
    if (refused.status === 0) throw new Error('/usr can be written to');
    say(`$ touch /usr/written\n  ${refused.stderr.trim()}`);
    say(`$ systemd-sysext status\n${indented(await host.check(['systemd-sysext', 'status', '--no-pager']))}`);
    say('Kubernetes v1.34.3 is healthy');

    enter('tend', 'the next version: one refresh, one restart of kubelet');
    const before = await mergedSince(host);
    await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', documentText('1.34.4'), { mode: 0o600 });
    const plan = await host.check([program, 'plan', '/etc/nodekiln/conf.d/10-node.yaml']);
    say(`$ nodekiln plan\n${indented(plan)}`);
    const merges = (plan.match(/merge extensions/g) ?? []).length;
    if (merges !== 1) throw new Error(`the plan merges ${merges} times`);
    await host.check([program, 'boot'], { timeoutMs: 120_000 });
    await healthy(host, 'v1.34.4');
    if ((await mergedSince(host)) === before) throw new Error('nothing was merged anew');
    say('Kubernetes v1.34.4 is healthy');

    enter('reboot', 'systemd merges the extension and starts kubelet without us');
    await host.check(['rm', '/etc/systemd/system/multi-user.target.wants/nodekiln-boot.service']);
    await host.reboot(60_000);
    await healthy(host, 'v1.34.4');
    const idle = await host.check([program, 'boot', '--json']);
    if (!(JSON.parse(idle) as { data: { unchanged: boolean } }).data.unchanged)
      throw new Error(`a second boot was not idle: ${idle.slice(0, 2000)}`);
    say('Kubernetes v1.34.4 is healthy after the reboot; a second boot has nothing to do');
  } catch (error) {
    throw new StageFailure(stage, error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    await lab.close();
    await rm(work, { recursive: true, force: true });
  }
}

async function healthy(host: LabHost, version: string): Promise<void> {
  await waitHttp(host, { port: 10248, path: '/healthz', timeoutMs: 60_000 });
  const stated = (await host.check(['/opt/bin/kubelet', '--version'])).trim();
  if (stated !== `Kubernetes ${version}`) throw new Error(`kubelet is ${stated}, not ${version}`);
}

async function mergedSince(host: LabHost): Promise<string> {
  const status = JSON.parse(await host.check(['systemd-sysext', 'status', '--json=short'])) as { since?: unknown }[];
  return JSON.stringify(status.map(({ since }) => since));
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '  ');
}

function documentText(version: string): string {
  return `apiVersion: nodekiln.dev/v1alpha1
kind: NodeConfig
spec:
  kubernetes: { version: ${version} }
  containerd: { restrictOomScoreAdj: true }
  extensions:
    - name: kubernetes
      path: /opt/extensions
`;
}
