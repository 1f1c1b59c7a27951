/**
 * The proof that a lab host is a node: Debian's containerd and the real kubelet, alone, run a static pod from images
 * that were imported, without any network; also after a reboot and a power cut. The configuration here is by hand, the
 * least that works, so that it tests the lab and nothing of nodekiln.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { containersOf, type PodContainer } from '../../src/agent/static-pods/running.ts';
import type { Exec } from '../../src/host/port.ts';
import { kubelet, kubernetesVersions, moduleVersion } from './binaries.ts';
import type { Lab, LabHost } from './lab.ts';
import { openLab } from './lab.ts';
import type { Artifacts } from './packages.ts';
import { artifacts } from './packages.ts';
import { installPrerequisites } from './prerequisites.ts';
import { waitHttp } from './probe.ts';
import { derivedRoot } from './root.ts';
import { run } from './run.ts';

const healthz = 10248;

describe('a lab host as a node', () => {
  let lab: Lab;
  let made: Artifacts;
  before(async () => {
    await installPrerequisites(console.error);
    made = await artifacts(console.error);
    lab = await openLab();
  });
  after(() => lab.close());

  function containerdConfig(): string {
    const cri = 'plugins."io.containerd.grpc.v1.cri"';
    return `version = 2
[${cri}]
  sandbox_image = "${made.images.pause.name}"
  restrict_oom_score_adj = true
  [${cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.runc.options]
      SystemdCgroup = true
  [${cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
`;
  }

  const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: /etc/kubernetes/manifests
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: systemd
failSwapOn: false
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
healthzPort: ${healthz}
`;

  const kubeletUnit = `[Unit]
After=containerd.service
Wants=containerd.service

[Service]
ExecStart=/opt/bin/kubelet --config=/etc/kubernetes/kubelet.yaml
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`;

  const network = {
    cniVersion: '1.0.0',
    name: 'lab',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipMasq: true,
        ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };

  function pod(hostNetwork: boolean): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        hostNetwork,
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'web',
            image: made.images.web.name,
            imagePullPolicy: 'Never',
            env: [{ name: 'PORT', value: '8081' }],
            ports: [{ containerPort: 8081, hostPort: 8081 }],
          },
        ],
      },
    });
  }

  async function node(name: string, hostNetwork: boolean): Promise<LabHost> {
    const root = await derivedRoot(
      'trixie',
      { packages: ['containerd', 'runc', 'containernetworking-plugins'] },
      console.error,
    );
    const binary = await kubelet('v1.34.3', console.error);
    const host = await lab.host({
      name,
      root,
      seeds: ['/opt', '/var/lib/containerd'],
      prepare: async (root) => {
        const put = async (path: string, content: string): Promise<void> => {
          await mkdir(join(root, dirname(path)), { recursive: true });
          await writeFile(join(root, path), content);
        };
        await mkdir(join(root, 'opt/bin'), { recursive: true });
        await copyFile(binary, join(root, 'opt/bin/kubelet'));
        for (const image of Object.values(made.images)) {
          await copyFile(join(made.dir, image.file), join(root, 'opt', image.file));
        }
        await put('/etc/containerd/config.toml', containerdConfig());
        await put('/etc/kubernetes/kubelet.yaml', kubeletConfig);
        await put('/etc/kubernetes/manifests/web.json', pod(hostNetwork));
        await put('/etc/systemd/system/kubelet.service', kubeletUnit);
        if (!hostNetwork) await put('/etc/cni/net.d/10-lab.conflist', JSON.stringify(network));
      },
    });
    await host.start();
    await host.waitRunning();
    await host.check(['systemctl', 'start', 'containerd']);
    for (const image of Object.values(made.images)) {
      await host.check(['ctr', '--namespace=k8s.io', 'image', 'import', `/opt/${image.file}`]);
    }
    await host.check(['systemctl', 'enable', '--now', '--no-block', 'containerd', 'kubelet']);
    return host;
  }

  async function assertServes(host: LabHost): Promise<void> {
    assert.equal((await waitHttp(host, { port: healthz })).body, 'ok');
    assert.equal((await waitHttp(host, { port: 8081, path: '/', address: host.address })).body, 'nodekiln lab\n');
  }

  test('containerd and kubelet run a static pod in the host’s network; again after a reboot and a power cut', async () => {
    const host = await node('alone', true);
    await assertServes(host);
    const images = await host.check(['ctr', '--namespace=k8s.io', 'image', 'list']);
    for (const image of Object.values(made.images))
      assert.match(images, new RegExp(`${image.name}\\s.*${image.manifestDigest}`));
    await host.reboot();
    await assertServes(host);
    await host.kill();
    await host.start();
    await host.waitRunning();
    await assertServes(host);
    assert.equal(await host.check(['/opt/bin/kubelet', '--version']), 'Kubernetes v1.34.3\n');
    await host.remove();
  });

  test('a pod with a network of its own is reached through the host’s port', async () => {
    const host = await node('bridged', false);
    await assertServes(host);
    assert.match(await host.check(['ip', 'address', 'show', 'cni0']), /10\.88\.0\.1\/24/);
    await host.remove();
  });

  test('containerd’s tool tells an agent which containers of a pod run, and that they are others after a change', async () => {
    const host = await node('told', true);
    await assertServes(host);
    const exec: Exec = {
      run: async (argv) => {
        const { status, stdout, stderr } = await host.exec(argv);
        return { status: status ?? -1, stdout, stderr, durationMs: 0 };
      },
    };
    const name = `web-${(await host.check(['hostname'])).trim()}`;
    const look = (namespace: string): Promise<PodContainer[]> =>
      containersOf(exec, { namespace, name }, { containers: ['web'], signal: new AbortController().signal });
    const before = await look('default');
    assert.deepEqual(
      before.map(({ container, isRunning }) => [container, isRunning]),
      [['web', true]],
    );
    assert.deepEqual(await look('kube-system'), []);
    await host.writeFile(
      '/etc/kubernetes/manifests/web.json',
      pod(true).replace('"PORT"', '"LAB","value":"x"},{"name":"PORT"'),
    );
    const known = new Set(before.map(({ id }) => id));
    for (const deadline = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 500))) {
      const now = await look('default');
      if (now.some(({ id, isRunning }) => isRunning && !known.has(id))) break;
      assert.ok(Date.now() < deadline, JSON.stringify(now));
    }
    await host.remove();
  });

  test('the two kubelets are different programs of the versions that they say', async () => {
    const { deb, rpm } = made.kubelet;
    assert.notEqual(deb.memberDigest, rpm.memberDigest);
    for (const version of ['v1.34.3', 'v1.34.4'] as const)
      assert.equal((await run([await kubelet(version), '--version'])).stdout, `Kubernetes ${version}\n`);
    for (const version of kubernetesVersions) assert.equal(await moduleVersion(version), version);
  });

  test('the packages are real and have maintainer scripts that would start the service', async () => {
    const { deb, rpm } = made.kubelet;
    const [debPath, rpmPath] = [join(made.dir, deb.file), join(made.dir, rpm.file)];
    assert.equal((await run(['dpkg-deb', '--field', debPath, 'Version'])).stdout, `${deb.version}\n`);
    assert.match((await run(['dpkg-deb', '--contents', debPath])).stdout, /\.\/usr\/bin\/kubelet\n/);
    assert.match(
      (await run(['dpkg-deb', '--info', debPath, 'postinst'])).stdout,
      /maintainer-script-ran[\s\S]*systemctl start kubelet/,
    );
    const about = await run([
      'rpm',
      '--query',
      '--package',
      '--queryformat',
      '%{VERSION}-%{RELEASE} %{PAYLOADCOMPRESSOR}',
      rpmPath,
    ]);
    assert.equal(about.stdout, `${rpm.version} zstd`);
    assert.match((await run(['rpm', '--query', '--package', '--list', rpmPath])).stdout, /^\/usr\/bin\/kubelet$/m);
    assert.match(
      (await run(['rpm', '--query', '--package', '--scripts', rpmPath])).stdout,
      /maintainer-script-ran[\s\S]*systemctl start kubelet/,
    );
    const { trixie, forky } = made.kubectl;
    assert.notEqual(trixie.memberDigest, forky.memberDigest);
    for (const each of [trixie, forky]) {
      assert.equal((await run(['dpkg-deb', '--field', join(made.dir, each.file), 'Package'])).stdout, 'kubectl\n');
    }
  });
});
