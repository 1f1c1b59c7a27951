import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { NodekilnError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { exportAgentbaker, importAgentbaker } from './import-agentbaker.ts';
import type { Inventory, InventoryPackage } from './inventory.ts';
import {
  componentForKubernetes,
  expandInventoryUrl,
  imageVersions,
  resolveInventory,
  selectBlock,
  selectVersions,
} from './selection.ts';
import type { MinorPolicy, VersionChoice } from './selection.ts';

const text = readFileSync(new URL('inventory.fixture.json', import.meta.url), 'utf8');
const inventory = importAgentbaker(text, 'fixture');
const fails =
  (code: ErrorCode) =>
  (thrown: unknown): boolean =>
    thrown instanceof NodekilnError && thrown.code === code;

function packageNamed(from: Inventory, name: string): InventoryPackage {
  const found = from.packages.find((item) => item.name === name);
  assert.ok(found, name);
  return found;
}
const versionsOf = (choice: VersionChoice): readonly string[] | 'skip' =>
  choice.type === 'versions' ? choice.versions : choice.type === 'skip' ? 'skip' : [];
function versions(name: string, os: string, release = '', variant = ''): readonly string[] | 'skip' {
  return versionsOf(selectVersions(packageNamed(inventory, name), { os, release, variant }));
}

describe('selectVersions', () => {
  const rows: readonly (readonly [string, string, string, string, string, readonly string[] | 'skip'])[] = [
    ['C01', 'demo', 'UBUNTU', '22.04', '', ['a1', 'a0.9']],
    ['C02', 'demo', 'UBUNTU', '20.04', '', ['b']],
    ['C03', 'demo', 'UBUNTU', '99.99', '', ['c']],
    ['C05', 'demo', 'MARINERKATA', '2.0', '', 'skip'],
    ['C06', 'demo', 'OTHER', '1', '', ['z']],
    ['C07', 'onlyubuntu', 'MARINER', '2.0', '', []],
    ['C08', 'legacy', 'anything', '', '', ['l1.1', 'l1.0']],
    ['mariner', 'demo', 'mariner', '2.0', '', ['d5', 'd6.1', 'd6.0']],
    ['C23', 'stops', 'ubuntu', '22.04', '', []],
    ['C24', 'variants', 'AZURELINUX', '3.0', 'OSGUARD', ['og3']],
    ['an empty variant is DEFAULT', 'variants', 'azurelinux', '3.0', '', ['def3']],
    ['another variant', 'variants', 'azurelinux', '3.0', 'KATA', ['v3']],
    ['another release', 'variants', 'azurelinux', '4.0', 'osguard', ['ogc']],
    ['another release and variant', 'variants', 'azurelinux', '4.0', '', ['cur']],
    ['C28', 'both', 'x', '', '', []],
    ['C29', 'nulls', 'x', '', '', ['p']],
    ['C30 by name', 'variants', 'ACL', '3.0', '', ['fl']],
    ['C30 by variant', 'variants', 'AZURELINUX', '3.0', 'ACL', ['fl']],
    ['C31 flatcar', 'variants', 'FLATCAR', '4000.1', '', ['fl']],
    ['C31 ubuntu', 'variants', 'UBUNTU', '22.04', '', ['dflt']],
  ];
  for (const [id, name, os, release, variant, expected] of rows) {
    it(`${id}: ${name} on ${os} ${release} ${variant}`, () =>
      assert.deepEqual(versions(name, os, release, variant), expected));
  }

  it('says which key was found and which were looked for before', () => {
    const choice = selectBlock(packageNamed(inventory, 'demo'), { os: 'UBUNTU', release: '24.04' });
    assert.deepEqual(
      [choice.key, choice.absent],
      ['ubuntu.current', ['ubuntu.DEFAULT/r2404', 'ubuntu.r2404', 'ubuntu.DEFAULT/current']],
    );
    const none = selectVersions(packageNamed(inventory, 'onlyubuntu'), { os: 'flatcar', release: '' });
    assert.deepEqual(none, {
      type: 'none',
      key: undefined,
      absent: ['flatcar.DEFAULT/current', 'flatcar.current', 'default.current'],
    });
  });

  it('gives the block of that release alone (C22)', () => {
    const { block } = selectBlock(packageNamed(inventory, 'demo'), { os: 'UBUNTU', release: '20.04', variant: '' });
    assert.deepEqual(
      [block?.os, block?.release, block?.entries?.map(({ latest }) => latest)],
      ['ubuntu', 'r2004', ['b']],
    );
  });

  it('leaves the address out where the package manager serves (C11)', () => {
    const choice = selectVersions(packageNamed(inventory, 'demo'), { os: 'ubuntu', release: '20.04' });
    assert.equal(choice.type === 'versions' && choice.url, undefined);
  });
});

describe('imageVersions', () => {
  it('gives each architecture its own (C20, C21)', () => {
    const [pause, legacy, windows] = inventory.images;
    assert.ok(pause && legacy && windows);
    assert.deepEqual(
      [imageVersions(pause, 'amd64'), imageVersions(pause, 'arm64')],
      [
        ['m1', 'm3', 'm2'],
        ['m3', 'm2'],
      ],
    );
    assert.deepEqual(imageVersions(legacy, 'amd64'), ['m3', 'm4', 'm5']);
    assert.deepEqual(imageVersions(windows, 'amd64'), []);
  });
});

describe('expandInventoryUrl', () => {
  it('fills in the three placeholders (C12, C13)', () => {
    assert.equal(expandInventoryUrl('', { version: '1', architecture: 'amd64' }), '');
    assert.equal(
      expandInventoryUrl('https://h/v${version}/x-linux-${CPU_ARCH}-v${version}.tgz', {
        version: '0.0.1',
        architecture: 'amd64',
      }),
      'https://h/v0.0.1/x-linux-amd64-v0.0.1.tgz',
    );
    assert.equal(
      expandInventoryUrl('r/k:${version}-${SYSTEMD_ARCH}', { version: 'v1.34.1-1-azlinux3', architecture: 'amd64' }),
      'r/k:v1.34.1-1-azlinux3-x86-64',
    );
    assert.equal(
      expandInventoryUrl('${version}', { version: '${CPU_ARCH}$(id)', architecture: 'amd64' }),
      '${CPU_ARCH}$(id)',
      'a value is no template',
    );
  });
  it('refuses everything else that a shell would evaluate', () => {
    for (const template of [
      '$(id)',
      '`id`',
      '$version',
      '${other}',
      '${version:-x}',
      'a$',
      '${toString}',
      "$($version.Split('-')[0])",
    ]) {
      assert.throws(
        () => expandInventoryUrl(template, { version: '1', architecture: 'amd64' }),
        fails('NK_DOCUMENT_INVALID'),
        template,
      );
    }
  });
});

describe('componentForKubernetes', () => {
  const rows: readonly (readonly [string, string, string, string, MinorPolicy, string | undefined])[] = [
    ['D01', 'prov', '22.04', '1.32.3', 'fail', '1.32.3-ubuntu22.04u4'],
    ['D03', 'prov', '22.04', '1.34.0', 'nearest-lower', '1.32.3-ubuntu22.04u4'],
    ['D03, strict', 'prov', '22.04', '1.34.0', 'fail', undefined],
    ['D06', 'components', '22.04', '1.34.0-alpha.1', 'fail', '1.34.13-ubuntu22.04u1'],
    ['D08', 'components', '24.04', '1.32.1', 'nearest-lower', undefined],
    ['D08, nearest', 'components', '24.04', '1.32.1', 'nearest', '1.33.17-ubuntu24.04u1'],
    ['D10', 'components', '20.04', '1.35.1', 'nearest-lower', '1.34.13-ubuntu20.04u1'],
    ['D11', 'components', '24.04', '1.3.0', 'nearest-lower', undefined],
    ['D12', 'components', '22.04', 'v1.34.9', 'fail', '1.34.13-ubuntu22.04u1'],
  ];
  for (const [id, name, release, kubernetes, policy, expected] of rows) {
    it(`${id}: ${name} for ${kubernetes} under ${policy}`, () => {
      const candidates = versions(name, 'ubuntu', release);
      assert.ok(candidates !== 'skip');
      const choice = componentForKubernetes(candidates, { kubernetes, policy, order: 'deb' });
      assert.equal(choice.type === 'match' ? choice.version : undefined, expected);
      if (choice.type === 'none') assert.deepEqual(choice.seen, candidates);
    });
  }
  it('never chooses a text that is no version, and is not stopped by it', () => {
    const request = { kubernetes: '1.34.0', policy: 'nearest', order: 'deb' } as const;
    assert.deepEqual(componentForKubernetes(['latest', '1.34.2-1', ''], request), {
      type: 'match',
      version: '1.34.2-1',
      how: 'same-minor',
    });
    assert.equal(componentForKubernetes(['latest'], request).type, 'none');
  });
  it('answers "none" where there is nothing, and refuses a version that is none (D13)', () => {
    assert.equal(componentForKubernetes([], { kubernetes: '1.36.0', policy: 'nearest', order: 'rpm' }).type, 'none');
    assert.throws(
      () => componentForKubernetes([], { kubernetes: '', policy: 'nearest', order: 'rpm' }),
      fails('NK_VERSION_INVALID'),
    );
  });
});

describe('importAgentbaker', () => {
  it('keeps every fact on the way there and back', () => {
    assert.deepEqual(exportAgentbaker(inventory), JSON.parse(text));
  });
  it('refuses what is of another form, naming the place', () => {
    assert.throws(() => importAgentbaker('{', 'x'), fails('NK_DOCUMENT_SYNTAX'));
    assert.throws(
      () => importAgentbaker('{"Packages":[{"name":1,"downloadURIs":{}}]}', 'x'),
      (thrown) => thrown instanceof NodekilnError && thrown.problems[0]?.place?.path === 'Packages.0.name',
    );
  });
  it('never evaluates a template: a hostile one is refused, and only that one', () => {
    const resolved = resolveInventory(inventory, { os: 'ubuntu', release: '22.04', architecture: 'amd64' });
    assert.deepEqual(
      resolved.filter((one) => one.refused).map((one) => [one.name, one.urls, one.refused?.code]),
      [['evil', [], 'NK_DOCUMENT_INVALID']],
    );
    const [demo] = resolveInventory(inventory, {
      os: 'ubuntu',
      release: '22.04',
      architecture: 'arm64',
      component: 'demo',
    });
    assert.deepEqual(demo?.urls, ['https://h/va1/d_a1_linux_arm64.tgz', 'https://h/va0.9/d_a0.9_linux_arm64.tgz']);
  });
});

interface RawBlock {
  readonly downloadURL?: string;
  readonly versionsV2?: { latestVersion?: string | null; previousLatestVersion?: string | null }[] | null;
  readonly versions?: string[];
}
interface RawPackage {
  readonly name: string;
  readonly downloadURIs: Readonly<Record<string, Readonly<Record<string, RawBlock>>>>;
}

/** The rules of selection written down a second time, straight from the file's own form. */
function byTheRules(
  { downloadURIs }: RawPackage,
  { os, release, variant, architecture }: { os: string; release: string; variant: string; architecture: string },
): { versions: readonly string[] | 'skip'; urls: readonly string[] | 'refused' } {
  const kind = variant === '' ? 'DEFAULT' : variant;
  const azure = ['azurelinux', 'azurelinuxkata', 'mariner', 'marinerkata'].includes(os);
  const name =
    release === '' ? undefined : os === 'ubuntu' ? `r${release.replace('.', '')}` : azure ? `v${release}` : undefined;
  const system = downloadURIs[os] ?? {};
  const isAcl = os === 'acl' || (os === 'azurelinux' && kind === 'ACL');
  const block = isAcl
    ? (downloadURIs['flatcar']?.['current'] ?? downloadURIs['default']?.['current'])
    : ((name === undefined ? undefined : (system[`${kind}/${name}`] ?? system[name])) ??
      system[`${kind}/current`] ??
      system['current'] ??
      downloadURIs['default']?.['current']);
  const flat = block?.versionsV2
    ? block.versionsV2
        .flatMap((entry) => [entry.latestVersion, entry.previousLatestVersion])
        .filter((text) => typeof text === 'string')
    : (block?.versions ?? []);
  if (flat[0] === '<SKIP>') return { versions: 'skip', urls: [] };
  if (!block?.downloadURL) return { versions: flat, urls: [] };
  const systemd = architecture === 'amd64' ? 'x86-64' : 'arm64';
  const urls = flat.map((version) =>
    (block.downloadURL ?? '')
      .split('${version}')
      .join(version)
      .split('${CPU_ARCH}')
      .join(architecture)
      .split('${SYSTEMD_ARCH}')
      .join(systemd),
  );
  return { versions: flat, urls: urls.some((url) => /[$`]/.test(url)) ? 'refused' : urls };
}

// The real inventory is foreign data and not part of this repository: NODEKILN_AGENTBAKER_COMPONENTS names it where it is.
const realPath = process.env['NODEKILN_AGENTBAKER_COMPONENTS'];
if (realPath !== undefined) {
  describe('the real inventory', () => {
    const realText = readFileSync(realPath, 'utf8');
    const real = importAgentbaker(realText, realPath);
    const realVersions = (name: string, os: string, release = '', variant = ''): readonly string[] | 'skip' =>
      versionsOf(selectVersions(packageNamed(real, name), { os, release, variant }));

    it('survives the way there and back', () => assert.deepEqual(exportAgentbaker(real), JSON.parse(realText)));

    it('resolves on every platform, and refuses the one address that a shell would have to evaluate', () => {
      for (const os of [
        'ubuntu',
        'azurelinux',
        'azurelinuxkata',
        'mariner',
        'marinerkata',
        'flatcar',
        'acl',
        'other',
      ]) {
        for (const release of ['20.04', '22.04', '24.04', '26.04', '2.0', '3.0']) {
          for (const variant of ['', 'OSGUARD']) {
            for (const architecture of ['amd64', 'arm64']) {
              const resolved = resolveInventory(real, { os, release, variant, architecture });
              assert.equal(resolved.length, real.packages.length);
              const refused = resolved.filter((one) => one.refused).map((one) => one.name);
              assert.ok(refused.length === 0 || refused.join() === 'aznfs', refused.join());
              for (const one of resolved) {
                if (one.choice.type !== 'versions' || one.refused) continue;
                assert.ok(one.urls.length === 0 || one.urls.length === one.choice.versions.length);
                assert.ok(one.urls.every((url) => !/[$`{}]/.test(url)));
              }
            }
          }
        }
      }
    });

    it('gives what the rules give for every package, system, release, variant and architecture', () => {
      const raw = JSON.parse(realText) as { Packages: RawPackage[] };
      const systems = new Set(['other', ...raw.Packages.flatMap((item) => Object.keys(item.downloadURIs))]);
      let compared = 0;
      for (const os of [...systems, 'acl']) {
        for (const release of ['', '20.04', '22.04', '24.04', '26.04', '2.0', '3.0']) {
          for (const variant of ['', 'DEFAULT', 'OSGUARD', 'ACL', 'KATA']) {
            for (const architecture of ['amd64', 'arm64']) {
              const resolved = resolveInventory(real, { os, release, variant, architecture });
              for (const [index, item] of raw.Packages.entries()) {
                const wanted = byTheRules(item, { os, release, variant, architecture });
                const one = resolved[index];
                assert.ok(one);
                const found = { versions: versionsOf(one.choice), urls: one.refused ? 'refused' : one.urls };
                assert.deepEqual(found, wanted, `${item.name} on ${os} ${release} ${variant} ${architecture}`);
                compared += 1;
              }
            }
          }
        }
      }
      assert.ok(compared > 10_000, String(compared));
    });

    it('resolves as its own rules say (C2)', () => {
      const ubuntu = (release: string, builds: string): string[] =>
        builds.split(' ').map((build) => build.replace('-', `-ubuntu${release}`));
      assert.deepEqual(
        realVersions('kubelet', 'UBUNTU', '22.04'),
        ubuntu('22.04', '1.34.10-u1 1.34.9-u2 1.35.7-u2 1.35.6-u2 1.36.3-u1 1.36.2-u2'),
      );
      assert.deepEqual(realVersions('kubelet', 'UBUNTU', '26.04'), ubuntu('26.04', '1.36.3-u1 1.36.2-u2'));
      assert.deepEqual(realVersions('kubelet', 'UBUNTU', '18.04'), []);
      const azurelinux = [
        '1.34.10-1.azl3',
        '1.34.9-2.azl3',
        '1.35.7-2.azl3',
        '1.35.6-2.azl3',
        '1.36.3-1.azl3',
        '1.36.2-2.azl3',
      ];
      assert.deepEqual(realVersions('kubelet', 'AZURELINUX', '3.0'), azurelinux);
      assert.deepEqual(realVersions('kubelet', 'AZURELINUX', '3.0', 'OSGUARD'), azurelinux);
      assert.deepEqual(realVersions('kubelet', 'MARINER', '2.0'), []);
      const flatcar = realVersions('kubernetes-binaries', 'FLATCAR');
      assert.deepEqual([flatcar.length, flatcar[0], flatcar.at(-1)], [14, 'v1.28.103-akslts', 'v1.34.7']);
      assert.deepEqual(realVersions('containerd', 'AZURELINUX', '3.0'), ['2.2.4-6.azl3']);
      for (const [os, variant] of [
        ['AZURELINUX', 'OSGUARD'],
        ['AZURELINUXKATA', ''],
        ['MARINERKATA', ''],
        ['FLATCAR', ''],
      ] as const) {
        assert.equal(realVersions('containerd', os, '3.0', variant), 'skip', `${os} ${variant}`);
      }
      assert.deepEqual(realVersions('containerd', 'MARINER', '2.0'), ['1.6.26-13.cm2']);
      for (const variant of ['', 'DEFAULT'])
        assert.deepEqual(realVersions('datacenter-gpu-manager-4-core', 'AZURELINUX', '3.0', variant), ['1:4.5.3-1']);
      assert.deepEqual(realVersions('datacenter-gpu-manager-4-core', 'AZURELINUX', '3.0', 'OSGUARD'), []);
    });
  });
}
