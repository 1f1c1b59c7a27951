/** What each field of a document takes, and what is said of a value that it does not take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { NodekilnError } from '../errors.ts';
import { checkDocument, type DocumentKind } from './load.ts';
import { formatPath, isMap, type Path } from './paths.ts';

interface Field {
  /** Below `spec`, with dots; in what `skeletons` gives. */
  readonly at: string | Path;
  readonly takes: readonly unknown[];
  /** What is said of the values that follow, without the field's name before it and the value after it. */
  readonly refuses?: Readonly<Record<string, readonly unknown[]>>;
}

const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const sha = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** Documents with one item in each list, and no more in it than there must be. */
const skeletons: Readonly<Record<DocumentKind, Readonly<Record<string, unknown>>>> = {
  NodeConfig: {
    kubernetes: {},
    cluster: { exec: { command: '/a' } },
    kubelet: { labels: {}, flags: {}, taints: [{ key: 'a', effect: 'NoSchedule' }], staticPods: [{ name: 'a' }] },
    containerd: { registries: [{ host: 'a', mirrors: [{ url: 'https://a' }] }] },
    network: { proxy: { noProxy: ['a'] }, cni: {} },
    kernel: { modules: [{ name: 'a' }], sysctls: [{ key: 'a.b' }] },
    binaries: {
      sources: {
        local: { type: 'deb', directory: '/a' },
        mirror: { reference: 'a.b/c:{tag}' },
        repository: { type: 'apt', url: 'https://a', suite: 'a', signedBy: '/a' },
        tarball: { url: 'https://a' },
      },
      transfer: { mirrors: [{ host: 'a', url: 'https://a' }] },
      cache: {},
      tools: { a: {} },
    },
    extensions: [{ name: 'a', tarball: { url: 'https://a' } }],
    trust: { anchors: [{ name: 'a' }] },
    files: [{ path: '/a' }],
    units: [{ name: 'a.service', dropIns: [{ name: 'a.conf' }] }],
    actions: [{ name: 'a' }],
    boot: { deferrable: {} },
  },
  ImageManifest: {
    components: [
      {
        name: 'a',
        action: 'cache',
        on: {},
        builds: [{ version: '1.34.3', on: {}, source: { type: 'deb' } }],
      },
      { name: 'a', action: 'install', source: { type: 'apt', packages: ['a', { name: 'b' }] } },
      { name: 'a', action: 'image', reference: 'a.b/c:1', archive: 'a' },
      { name: 'a', action: 'download', url: 'https://a', target: '/a', digest: sha },
    ],
    units: {},
    nodekiln: {},
  },
  AgentConfig: {
    cluster: {},
    tokens: [{ secret: 'a/b', path: '/a' }],
    heartbeat: {},
    restarts: {},
    health: {},
  },
  Inventory: {
    packages: [
      { name: 'a', blocks: [{ os: 'a', release: 'a', entries: [{ skip: false, other: {} }], other: {} }], other: {} },
    ],
    images: [{ reference: 'a', other: {} }],
    gpuImages: [{ reference: 'a', version: { skip: false, other: {} }, other: {} }],
    artifacts: [{ name: 'a', reference: 'a', other: {} }],
    other: {},
  },
};

// ── what several fields take ─────────────────────────────────────────────────────────────────────────────────────

type Takes = Omit<Field, 'at'>;

const texts: Takes = {
  takes: ['a', ' ', 'a b'],
  refuses: {
    'must be a string that is not empty': [''],
    'must be a string': [7, null, {}],
    'must be text without control characters, and character 2 is U+000A: take it out': ['a\n'],
  },
};
const anyTexts: Takes = { takes: ['', 'a'], refuses: { 'must be a string': [7, []] } };
const contents: Takes = { takes: ['', 'a\n'], refuses: { 'must be a string': [7, {}] } };
const flags: Takes = { takes: [true, false], refuses: { 'must be true or false': ['true', 1, null] } };
const numbersFrom = (least: number, most: number): Takes => ({
  takes: [least, least + 1, most],
  refuses: {
    'must be a whole number': [1.5, '1', null],
    [`must be a whole number from ${least} to ${most}`]: [least - 1, most + 1],
  },
});
const maps: Takes = { takes: [{}, { a: { b: [1] } }], refuses: { 'must be a map': ['a', [], 1] } };
const lists: Takes = { takes: [[]], refuses: { 'must be a list': ['a', {}, 1] } };
const textLists: Takes = { takes: [[], ['a', 'b']], refuses: { 'must be a list': ['a', {}] } };
const exceptions: Takes = {
  takes: [[], ['a', '.b', '*', '10.0.0.0/8', 'fd00::/8'], ['10.0.0.0/8, a 192.168.0.0/16']],
  refuses: { 'must be a list': ['a', {}] },
};
const urls: Takes = {
  takes: ['https://a', 'http://example.org:80/a?b#c', 'https://a/b'],
  refuses: {
    'must be a URL like "https://example.org/path"': [
      'a',
      'ftp://a',
      'https://',
      'https:///a',
      'xhttps://a',
      'https://a b',
      'http://10.0.0.300',
      'http://fd00::1:5000',
      'https://a:99999',
      7,
    ],
  },
};
const apiServers: Takes = {
  takes: ['https://a', 'https://api.example.org:6443', 'https://[::1]:6443/a/b'],
  refuses: {
    'must be the https address of an API server, like "https://api.example.org:6443"': [
      'a',
      'http://a',
      'xhttps://a',
      'https://',
      'https:///a',
      'https://a b',
      'https://a/b c',
      'https://u@a',
      'https://a/b@c',
      'https://a?b',
      'https://a/b?c',
      'https://a#b',
      'https://a/b#c',
      7,
    ],
  },
};
const paths: Takes = {
  takes: ['/', '/etc/motd', '/a b/.hidden', '/..a', '/a..', '/.../a', '/a./b', '/a/'],
  refuses: {
    'must be an absolute path without "." and ".." parts, like "/etc/motd"': [
      '',
      'a',
      'etc/motd',
      './a',
      '/..',
      '/.',
      '/../a',
      '/./a',
      '/a/..',
      '/a/.',
      '/a/../b',
      '/a/./b',
      '//',
      '//a',
      '/a//b',
      '/a\nb',
      '/a\0b',
      7,
    ],
  },
};
const durations: Takes = {
  takes: ['90s', '5m', '1h30m', '500ms'],
  refuses: { 'must be a duration like "90s", "5m" or "1h30m"': ['5', '5 minutes', '', 5] },
};
/** What a boot, a step or a transfer has to end in. */
const timespans: Takes = {
  takes: ['90s', '5m', '1h30m', '500ms', '1ms', '0h1m', '9999999h'],
  refuses: { ...durations.refuses, 'must be longer than nothing': ['0s', '0ms', '0h0m0s', '00m'] },
};
const registryHosts: Takes = {
  takes: [
    '_default',
    'a',
    'A.b-c',
    'docker.io',
    'localhost',
    '10.0.0.1',
    'registry.example.org:5000',
    '[::1]',
    '[::1]:5000',
    '[FD00::10.0.0.1]:5000',
  ],
  refuses: {
    'must be a registry’s host like "registry.example.org:5000", without a scheme or path': [
      '',
      'https://a',
      'a/b',
      '-a',
      'a-',
      'a:',
      'a:b',
      'a:5000b',
      'a_b',
      '!a',
      'a!',
      'x_default',
      '_defaults',
      '_default/',
      'a:0',
      'a:65536',
      '::1',
      '[::1',
      '[10.0.0.1]:5000',
      '[::g]:5000',
      7,
    ],
  },
};
const digests: Takes = {
  takes: [sha],
  refuses: {
    'must be a digest like "sha256:" and 64 hexadecimal digits': [
      sha.slice(0, -1),
      `${sha}0`,
      ` ${sha}`,
      sha.toUpperCase(),
      sha.replace('256', '512'),
      sha.replace('0', 'g'),
      7,
    ],
  },
};
const names: Takes = {
  takes: ['a', 'A0', 'a.b_c-d', '0'],
  refuses: {
    'must be a name of letters, digits, ".", "_" and "-"': ['', '-a', 'a-', '.a', 'a.', 'a/b', 'a b', '!a', 'a!', 7],
  },
};
const templates = (what: string): Takes => ({
  takes: ['a', '/a/{tool}-{version}-{upstream}-{tag}', '{arch}{debArch}{rpmArch}{systemdArch}'],
  refuses: {
    [`must be ${what}`]: [7, null],
    'must be a string that is not empty': [''],
    'has {ver}, which is not a placeholder; known are {tool}, {version}': ['/a/{ver}'],
    'has {, which is not a placeholder': ['a{'],
  },
});
const addresses: Readonly<Record<'url' | 'reference' | 'any', Takes>> = {
  url: {
    takes: ['https://a', 'http://a:80/{tool}_{version}_{debArch}.deb?b#c'],
    refuses: {
      'must be a URL like': [7, null, 'a', 'ftp://a', 'https://', 'a.b/c:1'],
      'must be a string that is not empty': [''],
      'has {ver}, which is not a placeholder; known are {tool}, {version}': ['https://a/{ver}'],
    },
  },
  reference: {
    takes: ['a.b/c:{tag}', 'a:5000/{tool}:{version}', `a.b/c@${sha}`],
    refuses: {
      'must be an OCI reference with registry': [
        7,
        null,
        'a',
        'a:1',
        'a/b',
        'a/b:1',
        'a.b/c',
        'a.b/c@sha256:0',
        'https://a/b',
      ],
      'must be a string that is not empty': [''],
      'has {ver}, which is not a placeholder; known are {tool}, {version}': ['a.b/c:{ver}'],
    },
  },
  any: {
    takes: ['https://a', 'https://a/{arch}', 'a.b/c:{tag}', `a.b/c@${sha}`],
    refuses: {
      'must be a URL like': [7, null, 'a', 'a:1', 'ftp://a', 'oci://a.b/c:1', 'a.b/c', 'a.b/c@sha256:0'],
      'must be a string that is not empty': [''],
      'has {ver}, which is not a placeholder; known are {tool}, {version}': ['https://a/{ver}'],
    },
  },
};
const versions: Takes = {
  takes: ['1', '1.34.3', 'v1.34.3-1.1', '1:1.34.8-2.azl3'],
  refuses: { 'must be a version like "1.34.3"': ['', 'a', '1.34.3 ', 1.34] },
};
const unitNames: Takes = {
  takes: [
    'a.service',
    'a.socket',
    'a.device',
    'a.mount',
    'a.automount',
    'a.swap',
    'a.target',
    'a.path',
    'a.timer',
    'a.slice',
    'a.scope',
    'getty@tty1.service',
    'dev-disk-by\\x2dlabel.device',
    'a:b_c.d.service',
  ],
  refuses: {
    'must be the name of a systemd unit with its type, like "kubelet.service"': [
      '',
      'a',
      '.service',
      'a.servic',
      'a.services',
      'a b.service',
      '!a.service',
      'a/b.service',
      'aservice',
      7,
    ],
  },
};
const certificates: Takes = {
  takes: [
    certificate,
    `\n\n${certificate}\n\n`,
    certificate.trimEnd(),
    certificate.repeat(2),
    `# Root\n${certificate}# end\n`,
  ],
  refuses: {
    'must be certificates in PEM form': ['', 'a', certificate.replace('END', 'AND')],
    'must be a string': [7],
  },
};
const labelKeys = {
  good: [
    'a',
    'A',
    '0',
    'a.b_c-D',
    'a'.repeat(63),
    'example.org/zone',
    'a/b',
    '0-a/B',
    'aa/b',
    'a-b.c/d',
    `${'a.'.repeat(126)}a/b`,
  ],
  bad: [
    '',
    '-a',
    'a-',
    'a!',
    '!a',
    'a b',
    'a'.repeat(64),
    '/a',
    'a/',
    '-a/b',
    'a-/b',
    'A/b',
    'aB/b',
    'a/b/c',
    'a_b/c',
    'a..b/c',
    'a.-b/c',
    `${'a.'.repeat(127)}a/b`,
  ],
};
const labelValues: Takes = {
  takes: ['', 'a', 'A', '0', 'a.b_c-D', 'a'.repeat(63)],
  refuses: {
    'must be a label value: at most 63 letters, digits, ".", "_" and "-"': [
      '-a',
      'a-',
      'a!',
      '!a',
      'a b',
      'a/b',
      'a'.repeat(64),
      7,
    ],
  },
};
const resources = {
  good: ['file:/a b', 'unit:a.service', 'binary:a', 'extension:a', 'image:a', 'kernel:module/a', 'action:a'],
  bad: ['', 'a', 'unit', 'unit:', 'unit: a', 'units:a', 'aunit:a', 'Unit:a', 'fileunit:a', 'unit:a\nb'],
};
const resourceIds: Takes = {
  takes: resources.good,
  refuses: { 'must be a resource like "unit:containerd.service" or "file:/etc/motd"': [...resources.bad, 7] },
};
const forms: Takes = choices('deb', 'rpm', 'tarball', 'file');

function choices(...values: readonly string[]): Takes {
  const quoted = values.map((value) => `"${value}"`);
  const wanted = quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
  return { takes: values, refuses: { [`must be ${wanted}`]: ['', 'other', `${values[0]}x`, 7] } };
}

/** Fields that every item of these lists has. */
function ofEach(lists: readonly string[], fields: Readonly<Record<string, Takes>>): Field[] {
  return lists.flatMap((list) =>
    Object.entries(fields).map(([field, takes]) => ({ at: `${list}.${field}`, ...takes })),
  );
}

const signatures: Takes = {
  takes: [{ key: '/a' }, { trustedRoot: '/a', identity: 'a', issuer: 'a' }],
  refuses: { 'must be a map with key, or with trustedRoot, identity and issuer': ['a', 7] },
};
const ids = (what: string): Takes => ({
  takes: ['root', 0, 1000, 65_534, 4_294_967_294],
  refuses: {
    [`must be "root" or a numeric ${what} id from 0 to 4294967294`]: ['other', '0', 1.5, null],
    // The last but one is chown(2)'s word for "as it is".
    'must be a whole number from 0 to 4294967294': [-1, -2, 4_294_967_295, 4_294_967_296],
  },
});

// ── NodeConfig ───────────────────────────────────────────────────────────────────────────────────────────────────

const nodeConfig: readonly Field[] = [
  {
    at: 'kubernetes.version',
    takes: ['1.34.3', 'v1.34.3', '10.20.30', '1.34.3-rc.1', '1.34.3+a', '1.34.3~a', '1.34.3.4', '1.34.3-'],
    refuses: {
      'must be a full Kubernetes version like "1.34.3"': [
        '',
        '1.34',
        '1.34.',
        '.34.3',
        '1..3',
        'a1.34.3',
        'vv1.34.3',
        '1a34.3',
        '1.34a3',
        '1.34.3 ',
        '1.34.3a',
        '1.34.3_a',
        '1.34.3-a b',
        '1.34.3-!',
        1.34,
      ],
    },
  },
  { at: 'cluster.server', ...apiServers },
  { at: 'cluster.servers', ...lists },
  { at: ['cluster', 'servers', 0], ...apiServers },
  {
    at: 'cluster.caBundle',
    takes: [exampleAuthority, exampleAuthority.repeat(2)],
    refuses: { 'must be certificates in PEM form': ['', certificate], 'must be a string': [7] },
  },
  { at: 'cluster.bootstrapTokenFile', ...paths },
  { at: 'cluster.clientCertificate', ...maps, takes: [{ certificateFile: '/a', keyFile: '/b' }] },
  { at: 'cluster.exec.command', ...paths },
  { at: 'cluster.exec', ...maps, takes: [{ command: '/a', args: ['', 'b'], env: { A: '' } }] },
  {
    at: 'cluster.exec.apiVersion',
    takes: ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'],
    refuses: { 'must be "client.authentication.k8s.io/v1" or "client.authentication.k8s.io/v1beta1"': ['v1'] },
  },
  { at: 'cluster.exec.env', takes: [{}, { A: '' }], refuses: { 'must be a map': ['a'] } },
  { at: 'cluster.kubeconfig', ...paths },
  { at: 'cluster.servingCertificate', ...choices('self-signed', 'cluster') },
  { at: 'cluster.dns', ...lists },
  {
    at: ['cluster', 'dns', 0],
    takes: ['10.96.0.10', '255.255.255.255', '1.2.3.4', 'fd00::1', '::', '::1', 'FE80::', '::ffff:1.2.3.4'],
    refuses: {
      'must be an IP address': [
        '',
        'a',
        '10.0.0',
        '999.1.1.1',
        '1::2::3',
        '10.0.0.1.2',
        '1234.0.0.1',
        '10.0.0.1234',
        '10a0.0.1',
        'x10.0.0.1',
        '10.0.0.1x',
        'fd00',
        'g::',
        '::g',
        '!::1',
        '::1 ',
        7,
      ],
    },
  },
  { at: 'cluster.domain', ...texts },
  { at: 'kubelet.annotations', ...maps, takes: [{}, { 'a.b/c': '', d: 'any text' }] },
  {
    at: 'kubelet.nodeName',
    takes: ['a', 'node-1.example.org'],
    refuses: { 'must be the name of a node': ['', 'A', 7] },
  },
  { at: 'kubelet.providerId', ...texts },
  { at: 'kubelet.credentialProviders.configuration', ...maps },
  {
    at: 'kubelet.credentialProviders',
    takes: [{ configuration: {}, binDir: '/a' }],
    refuses: { 'must be a map': ['a', []] },
  },
  { at: 'kubelet.configuration', ...maps },
  { at: 'kubelet.flags', ...maps, takes: [{}, { v: 2 }] },
  {
    at: 'kubelet.flags.v',
    takes: ['', 'a', 0, 2, true],
    refuses: { 'must be a string, a whole number, true or false': [1.5, null, [], {}] },
  },
  { at: 'kubelet.labels', ...maps, takes: [{}, ...labelKeys.good.map((key) => ({ [key]: '' }))] },
  { at: 'kubelet.labels.a', ...labelValues },
  { at: 'kubelet.taints', ...lists },
  {
    at: 'kubelet.taints.0.key',
    takes: labelKeys.good,
    refuses: { 'must be a label key like "example.org/zone"': [...labelKeys.bad, 7] },
  },
  { at: 'kubelet.taints.0.value', ...labelValues },
  { at: 'kubelet.taints.0.effect', ...choices('NoSchedule', 'PreferNoSchedule', 'NoExecute') },
  {
    at: 'kubelet.nodeIp',
    takes: ['10.0.0.1', 'fd00::1', '10.0.0.1,fd00::1', 'fd00::1,10.0.0.1', '::', '0.0.0.0'],
    refuses: {
      'must be one address, or an IPv4 and an IPv6 address with a comma': [
        7,
        '',
        'bogus',
        '127.0.0.1',
        '::1',
        '169.254.0.1',
        'fe80::1',
        '224.0.0.1',
        'ff02::1',
        '10.0.0.1,::1',
        '10.0.0.256',
        '10.0.0.1/24',
        '10.0.0.1,10.0.0.2',
        '10.0.0.1,',
        'fd00::1::2',
        '10.0.0.1,fd00::1,fd00::2',
      ],
    },
  },
  { at: 'kubelet.staticPods', ...lists },
  { at: 'kubelet.staticPods.0.name', ...names },
  { at: 'kubelet.staticPods.0.manifest', ...maps },
  {
    at: 'containerd.sandboxImage',
    takes: ['a', 'registry.k8s.io/pause:3.10', 'a@sha256:0'],
    refuses: {
      'must be an image reference like "registry.k8s.io/pause:3.10"': ['', ' a', 'a b', 'a ', '@a', ':a', '/a', 7],
    },
  },
  { at: 'containerd.restrictOomScoreAdj', ...flags },
  { at: 'containerd.configuration', ...maps },
  { at: 'containerd.registries', ...lists },
  { at: 'containerd.registries.0.host', ...registryHosts },
  { at: 'containerd.registries.0.server', ...urls },
  { at: 'containerd.registries.0.mirrors', ...lists },
  { at: 'containerd.registries.0.mirrors.0.url', ...urls },
  { at: 'containerd.registries.0.mirrors.0.capabilities', ...lists, takes: [['pull', 'resolve', 'push'], []] },
  { at: ['containerd', 'registries', 0, 'mirrors', 0, 'capabilities', 0], ...choices('pull', 'resolve', 'push') },
  { at: 'containerd.registries.0.mirrors.0.overridePath', ...flags },
  { at: 'containerd.registries.0.mirrors.0.caFile', ...paths },
  { at: 'containerd.registries.0.mirrors.0.skipVerify', ...flags },
  {
    at: 'network.proxy.http',
    takes: ['http://a:3128', 'a:3128', 'u:p@a', '[::1]:3128', 'https://a', 'socks5://a:1080', 'SOCKS5H://u:p@a'],
    refuses: {
      'must be a string that is not empty': [''],
      'must be a URL like "http://proxy.example.org:3128"': [
        7,
        'ftp://a',
        'http://',
        'a b',
        'socks4://a',
        ':',
        'a:port',
      ],
    },
  },
  {
    at: 'network.proxy.https',
    takes: ['http://a:3128'],
    refuses: { 'must be a URL like "http://proxy.example.org:3128"': [7] },
  },
  { at: 'network.proxy.noProxy', ...exceptions },
  {
    at: 'network.proxy.noProxy.0',
    takes: ['a', 'fd00::/8'],
    refuses: { 'must be a host, a domain or a subnet': ['http://a', 'a/b', '10.0.0.0/33', 'a, 10.0.0.0/a'] },
  },
  { at: 'network.cni.type', ...choices('none', 'bridge') },
  {
    at: 'network.cni.subnet',
    takes: [
      '10.88.0.0/24',
      '10.0.0.0/8',
      '10.88.0.4/30',
      'fd00::/64',
      'fd00::4/126',
      'podCIDR',
      '10.88.0.0/24,fd00::/64',
      'fd00::/64,10.88.0.0/24',
    ],
    refuses: {
      'must be a subnet with room for pods, by its first address like "10.88.0.0/24", an IPv4 and an IPv6 subnet with a comma, or "podCIDR"':
        [
          '10.88.0.1/24',
          '10.88.0.0/31',
          '10.88.0.0/32',
          'fd00::1/64',
          'fd00::/127',
          '127.0.0.0/8',
          '224.0.0.0/24',
          'ff02::/64',
          '::ffff:10.0.0.0/120',
          '10.88.0.0/24,fd00::1/64',
          '10.88.0.0/24,10.89.0.0/24',
          'fd00::/64,fd01::/64',
          '10.88.0.0/24,',
          '10.88.0.0/24, fd00::/64',
          '10.88.0.0/24,fd00::/64,10.89.0.0/24',
          'podCIDR,fd00::/64',
          '',
          'podCIDRs',
          'apodCIDR',
          '999.88.0.0/24',
          '10.88.0.0/99',
          '10.88.0.0/024',
          'fd00::/129',
          '10.88.0.0/24/8',
          '10.88.0.0',
          '10.88.0/24',
          '10.88.0.0.0/24',
          '1088.0.0.0/24',
          '10.88.0.1000/24',
          '10.88.0.0/',
          '10.88.0.0/240',
          '10.88.0.0/a',
          'a10.88.0.0/24',
          '10.88.0.0/24a',
          '10.88a0.0/24',
          'fd00/64',
          'fd00::',
          'fd00::/',
          'g::/64',
          '::g/64',
          'fd00::/1280',
          'fd00::/a',
          'fd00::/64 ',
          '!fd00::/64',
          7,
        ],
    },
  },
  {
    at: 'network.cni.bridge',
    takes: ['cni0', 'a', 'a'.repeat(15)],
    refuses: {
      'must be the name of a network interface': [
        '',
        'a b',
        'a/b',
        'a:b',
        '.',
        '..',
        'all',
        'default',
        'a'.repeat(16),
        7,
      ],
    },
  },
  { at: 'network.cni.masquerade', ...flags },
  { at: 'network.cni.mtu', ...numbersFrom(68, 65_535) },
  { at: 'network.cni.binDir', ...paths },
  { at: 'kernel.modules', ...lists },
  {
    at: 'kernel.modules.0.name',
    takes: ['overlay', 'br_netfilter', 'nf-conntrack', '8021q', 'A'],
    refuses: { 'must be the name of a kernel module': ['', 'a b', 'a.ko', '/a', 'a!', '!a', '-r', 7] },
  },
  { at: 'kernel.sysctls', ...lists },
  {
    at: 'kernel.sysctls.0.key',
    takes: [
      'net.ipv4.ip_forward',
      'vm.swappiness',
      'net/ipv4/conf/eth0.1/forwarding',
      'net.ipv4.conf.*.rp_filter',
      'a.B:c-d',
    ],
    refuses: {
      'must be a sysctl like "net.ipv4.ip_forward"': [
        '',
        'a',
        'a.',
        '.a',
        'A.b',
        'a b.c',
        'a..b',
        'a.b c',
        'a.!',
        '!a.b',
        7,
      ],
    },
  },
  {
    at: 'kernel.sysctls.0.value',
    takes: ['', '1', 1, 0],
    refuses: { 'must be a string or a whole number': [1.5, true, null] },
  },
  ...['kernel.modules.0', 'kernel.sysctls.0'].map((item) => ({
    at: `${item}.deferrable`,
    takes: [false],
    refuses: { 'cannot be true: kernel settings must be in place before kubelet starts': [true] },
  })),
  { at: 'binaries.policy', ...choices('cache-first', 'cache-only', 'package') },
  { at: 'binaries.tools.a.policy', ...choices('cache-first', 'cache-only', 'package') },
  { at: 'binaries.sources.local.type', ...choices('deb', 'rpm') },
  { at: 'binaries.sources.local.directory', ...templates('a path') },
  { at: 'binaries.sources.local.member', ...templates('a path') },
  {
    at: 'binaries.sources.mirror.reference',
    ...addresses.reference,
  },
  { at: 'binaries.sources.mirror.type', ...forms },
  { at: 'binaries.sources.mirror.member', ...templates('a path') },
  { at: 'binaries.sources.mirror.file', ...templates('a file name') },
  { at: 'binaries.sources.mirror.plainHttp', ...flags },
  { at: 'binaries.sources.mirror.since', ...versions },
  { at: 'binaries.sources.mirror.signature', ...signatures },
  {
    at: 'binaries.sources.repository',
    takes: [
      { type: 'apt', url: 'https://a', suite: 'a', signedBy: '/a', components: ['main'], since: '1.30', member: 'a' },
      { type: 'dnf', url: 'https://a', keys: ['/a'], repositorySigned: true, since: '1.30', member: 'a' },
    ],
    refuses: {
      'must be a map with type: "apt" or "dnf"': ['a', 7],
      'must be "apt" or "dnf"': [{ type: 'yum' }, { type: 7 }],
    },
  },
  { at: 'binaries.sources.repository.url', ...addresses.url },
  { at: 'binaries.sources.repository.suite', ...templates('a suite') },
  { at: 'binaries.sources.repository.components', ...textLists },
  { at: 'binaries.sources.tarball.url', ...addresses.any },
  { at: 'binaries.sources.tarball.type', ...forms },
  { at: 'binaries.sources.tarball.member', ...templates('a path') },
  { at: 'binaries.sources.tarball.digest', ...digests },
  { at: 'binaries.transfer.budget', ...timespans },
  { at: 'binaries.transfer.caFile', ...paths },
  {
    at: 'binaries.transfer.proxy',
    takes: ['http://a:3128', 'https://a', 'a:3128', 'user:secret@a:3128'],
    refuses: {
      'must be a string that is not empty': [''],
      'must be a URL like "http://proxy.example.org:3128"': [7, 'socks5://a:1', 'a b', 'http://'],
    },
  },
  { at: 'binaries.transfer.noProxy', ...exceptions },
  { at: 'binaries.transfer.mirrors', ...lists },
  { at: 'binaries.transfer.mirrors.0.host', ...registryHosts },
  { at: 'binaries.transfer.mirrors.0.url', ...urls },
  { at: 'binaries.transfer.mirrors.0.overridePath', ...flags },
  { at: 'binaries.cache.keep', ...numbersFrom(0, 1000) },
  {
    at: 'binaries.cache.maxSize',
    takes: ['2GiB', '800 MB'],
    refuses: { 'must be a size like "2GiB"': ['2', 'GiB', 2] },
  },
  { at: 'binaries.tools', ...maps, takes: [{}, { a: {} }] },
  { at: 'binaries.tools.a.version', ...versions },
  { at: 'binaries.tools.a.url', ...addresses.any },
  { at: 'binaries.tools.a.privateUrl', ...addresses.any },
  { at: 'binaries.tools.a.digest', ...digests },
  { at: 'binaries.tools.a.member', ...templates('a path') },
  { at: 'binaries.tools.a.type', ...forms },
  { at: 'binaries.tools.a.package', ...names },
  { at: 'binaries.tools.a.sources', ...maps, takes: [{}, { tarball: { url: 'https://a' } }] },
  { at: 'binaries.tools.a.target', ...paths },
  { at: 'extensions', ...lists },
  {
    at: 'extensions.0.name',
    takes: ['a', 'A0', 'a_b.c-d-'],
    refuses: { 'must be a name of letters, digits, "_", "." and "-"': ['', '-a', '.a', 'a b', 'a/b', '!a', 'a!', 7] },
  },
  { at: 'extensions.0.version', ...texts },
  { at: 'extensions.0.path', ...paths },
  {
    at: 'extensions.0.registry',
    takes: ['a.b/c', 'registry.example:5000/extensions/kubernetes'],
    refuses: {
      'must be a repository like "registry.example/extensions/kubernetes", without a tag': [
        '',
        'a',
        'a/',
        '/a',
        'a/b',
        'a/b:1',
        'a/b@sha256:0',
        'a/b c',
        'a b/c',
        ' a/b',
        'a/b ',
        '@/b',
        7,
      ],
    },
  },
  {
    at: 'extensions.0.revision',
    takes: ['1', '1-azlinux3'],
    refuses: { 'must be a revision like "1-azlinux3"': ['', 'a b', 'a/b', 'a:b', 'a@b', ' a', 'a ', 7] },
  },
  { at: 'extensions.0.plainHttp', ...flags },
  { at: 'extensions.0.signature', ...signatures },
  { at: 'extensions.0.url', ...urls },
  { at: 'extensions.0.tarball.url', ...addresses.any },
  { at: 'extensions.0.tarball.member', ...templates('a path') },
  { at: 'extensions.0.tarball.digest', ...digests },
  { at: 'extensions.0.digest', ...digests },
  { at: 'extensions.0.tools', ...lists, takes: [[], ['a', 'b']] },
  { at: 'usrLocal', ...choices('host', 'writable') },
  { at: 'trust.anchors', ...lists },
  { at: 'trust.anchors.0.name', ...names },
  { at: 'trust.anchors.0.certificates', ...certificates },
  { at: 'files', ...lists },
  { at: 'files.0.path', ...paths },
  { at: 'files.0.content', ...contents },
  {
    at: 'files.0.contentBase64',
    takes: ['', 'YQ==', 'YWI=', 'YWJj', 'YWJj\n YWJj\n', 'YWJj+/9A'],
    refuses: {
      'must be base64': [
        'a',
        'YQ=',
        'YQ',
        'YQ===',
        '=YQ=',
        'YW!j',
        '!YWJj',
        'YWJj!',
        'Y=Jj',
        'YWJjYQ',
        'YWJj=',
        'YW-_',
        'YWI=YWJj',
      ],
      'must be a string': [7],
    },
  },
  { at: 'files.0.symlink', ...texts },
  { at: 'files.0.directory', takes: [true], refuses: { 'must be true': [false, 'true', 1] } },
  {
    at: 'files.0.mode',
    takes: ['0644', '0600', '01777', '00000'],
    refuses: { 'must be a string like "0644"': ['', '644', '0888', '064', '001777', 'a0644', '0644a', 420] },
  },
  { at: 'files.0.owner', ...ids('user') },
  { at: 'files.0.group', ...ids('group') },
  { at: 'files.0.sensitive', ...flags },
  { at: 'units', ...lists },
  { at: 'units.0.name', ...unitNames },
  { at: 'units.0.content', ...contents },
  { at: 'units.0.dropIns', ...lists },
  {
    at: 'units.0.dropIns.0.name',
    takes: ['a.conf', '50-limits.conf', 'a.b.conf'],
    refuses: {
      'must be a file name that ends in .conf, like "50-limits.conf"': [
        '',
        'a',
        '.conf',
        'a.config',
        'a.conf.bak',
        'a/b.conf',
        'a b.conf',
        'aconf',
        ' a.conf',
        7,
      ],
    },
  },
  { at: 'units.0.dropIns.0.content', ...contents },
  { at: 'units.0.enablement', ...choices('enabled', 'disabled', 'masked') },
  { at: 'units.0.state', ...choices('started', 'stopped') },
  { at: 'units.0.inputs', ...lists },
  {
    at: ['units', 0, 'inputs', 0],
    takes: ['/', '/etc/motd', 'file:/a', 'unit:a.service', 'binary:a', 'image:a', 'kernel:module/a', 'action:a b'],
    refuses: {
      'must be an absolute path or a resource like "binary:kubelet"': [
        '',
        'a',
        'a/b',
        'a/',
        '/a\nb',
        '/a\0b',
        'unit:',
        'unit: a',
        'xunit:a',
        'unit:a\nb',
        'other:a',
        7,
      ],
    },
  },
  { at: 'units.0.onChange', ...choices('restart', 'reload', 'none') },
  {
    at: 'units.0.readiness',
    takes: [{ http: 'http://127.0.0.1:10248/healthz' }, { socket: '/run/a.sock' }],
    refuses: {
      'must have one of http and socket': [{}, { http: 'http://a', socket: '/a' }],
      'must be a map': ['a', []],
    },
  },
  { at: 'units.0.deadline', ...timespans },
  { at: 'units.0.sensitive', ...flags },
  { at: 'actions', ...lists },
  { at: 'actions.0.name', ...names },
  {
    at: 'actions.0.argv',
    takes: [['true'], ['a', '', 'b c']],
    refuses: { 'must begin with the program to run': [[], ['']], 'must be a list': ['true'] },
  },
  {
    at: 'actions.0.guard',
    takes: [{ path: '/a' }, { command: ['true'] }],
    refuses: {
      'must have one of path and command': [{}, { path: '/a', command: ['true'] }],
      'must be a map': ['a', []],
    },
  },
  { at: 'actions.0.env', ...maps, takes: [{}, { A: '', b: 'c' }] },
  { at: 'actions.0.env.A', ...anyTexts },
  { at: 'actions.0.timeout', ...timespans },
  ...ofEach(['files.0', 'units.0', 'actions.0', 'kernel.modules.0', 'kernel.sysctls.0', 'binaries.tools.a'], {
    importance: choices('required', 'bestEffort', 'background'),
    scope: choices('shared', 'node'),
    takeover: flags,
    needs: lists,
  }),
  { at: ['files', 0, 'needs', 0], ...resourceIds },
  ...ofEach(['files.0', 'units.0', 'actions.0', 'binaries.tools.a'], { deferrable: flags }),
  { at: 'boot.deadline', ...timespans },
  { at: 'boot.goal', ...choices('healthz', 'registered', 'ready') },
  { at: 'boot.joinDeadline', ...durations },
  { at: 'boot.unjoined', ...choices('degraded', 'failed') },
  { at: 'boot.deferrable', ...maps, takes: [{}, ...resources.good.map((id) => ({ [id]: false }))] },
  { at: ['boot', 'deferrable', 'unit:a.service'], ...flags },
  { at: 'takeover', ...flags },
];

// ── ImageManifest ────────────────────────────────────────────────────────────────────────────────────────────────

const oneOrMore = (what: string): Takes => ({
  takes: ['a', ['a', 'b'], []],
  refuses: { [`must be ${what} or a list of them`]: [7, {}], 'must be a string that is not empty': [''] },
});
const perArch: Takes = {
  takes: [sha, {}, { amd64: sha }, { arm64: sha, amd64: sha }],
  refuses: {
    'must be a digest like "sha256:" and 64 hexadecimal digits, or a map with amd64 and arm64': [7, []],
    'must be a digest like': ['a'],
  },
};
const location = {
  path: 'a',
  url: 'https://a',
  reference: 'a.b/c:1',
  layout: 'a',
  tag: 'a',
  file: 'a',
  plainHttp: true,
  signature: { key: 'a' },
};
const repositories = [
  { type: 'apt', url: 'https://a', suite: 'a', signedBy: '/a', components: ['main'], package: 'a', member: 'a' },
  { type: 'dnf', url: 'https://a', keys: ['/a'], repositorySigned: true, package: 'a', member: 'a' },
];

const imageManifest: readonly Field[] = [
  { at: 'components', ...lists },
  ...[0, 1, 2, 3].map((index) => ({ at: `components.${index}.name`, ...names })),
  {
    at: 'components.0',
    takes: [],
    refuses: {
      'must be a map with action: "cache", "install", "image" or "download"': ['a', []],
      'is missing: it must be "cache", "install", "image" or "download"': [{ name: 'a' }],
      'must be "cache", "install", "image" or "download"': [{ name: 'a', action: 'other' }],
    },
  },
  ...ofEach(['components.0.on', 'components.0.builds.0.on'], {
    os: oneOrMore('an identifier'),
    release: oneOrMore('a string like "13" (in quotes)'),
    variant: oneOrMore('an identifier'),
    arch: {
      takes: ['amd64', 'arm64', ['amd64', 'arm64'], []],
      refuses: { 'must be "amd64", "arm64" or a list of them': ['x86_64', 7] },
    },
  }),
  { at: 'components.0.builds', ...lists },
  { at: 'components.0.builds.0.version', ...versions },
  { at: 'components.0.builds.0.digest', ...perArch },
  {
    at: 'components.0.builds.0.source',
    takes: [
      ...['deb', 'rpm', 'tarball'].map((type) => ({ type, ...location, member: 'a' })),
      { type: 'file', ...location },
      { type: 'image', reference: 'a.b/c:1', layout: 'a', tag: 'a', member: 'a', plainHttp: true },
      ...repositories,
    ],
    refuses: {
      'must be "deb", "rpm", "tarball", "file", "image", "apt" or "dnf"': [{ type: 'other' }],
      'must be a map with type: "deb", "rpm", "tarball", "file", "image", "apt" or "dnf"': ['a'],
    },
  },
  ...ofEach(['components.0.builds.0.source'], {
    path: templates('a path'),
    url: addresses.any,
    reference: addresses.reference,
    layout: templates('a path'),
    tag: templates('a tag'),
    file: templates('a file name'),
    plainHttp: flags,
    signature: signatures,
    member: templates('a path'),
  }),
  { at: 'components.1.source.type', ...choices('apt', 'dnf') },
  { at: 'components.1.source.packages', ...lists },
  {
    at: ['components', 1, 'source', 'packages', 0],
    takes: ['a', 'A0', 'libstdc++6', 'a.b_c-d', { name: 'a', version: '1' }],
    refuses: {
      'must be the name of a package, or a map with name and version': [7],
      'must be the name of a package': ['', '-a', 'a b', 'a/b', 'a=1', '!a', 'a!'],
    },
  },
  {
    at: 'components.1.source.packages.1.name',
    takes: ['a', 'A0', 'libstdc++6', 'a.b_c-d'],
    refuses: { 'must be the name of a package': ['', '-a', 'a b', '!a', 'a!', 7] },
  },
  {
    at: 'components.1.source.packages.1.version',
    takes: ['1.34.3-1.1', '2:1.0~rc1+dfsg-1', '0:1.2^20260101-3.fc42'],
    refuses: { 'must be the version of a package, like "1.34.3-1.1"': ['', ' ', '1 2', '1=2', '1/2', '-1', '*', 7] },
  },
  {
    at: 'components.2.reference',
    takes: ['registry.k8s.io/pause:3.10', `a.b/c@${sha}`, 'a:5000/b:1'],
    refuses: {
      'must be a full image reference with registry and tag, like "registry.k8s.io/pause:3.10"': [
        '',
        'pause:3.10',
        'a/b',
        'a/b',
        'a/b:1',
        'a.b/c@sha256:0',
        '/b:1',
        'a/:1',
        'a/b:',
        'a/b c:1',
        'a/b:1 ',
        ' a/b:1',
        'a b/c:1',
        7,
      ],
    },
  },
  { at: 'components.2.archive', ...templates('a path') },
  { at: 'components.2.digest', ...perArch },
  { at: 'components.2.pin', ...flags },
  { at: 'components.2.unpack', ...choices('auto', 'always', 'never') },
  { at: 'components.3.version', ...versions },
  { at: 'components.3.url', ...addresses.any },
  { at: 'components.3.target', ...paths },
  { at: 'components.3.digest', ...perArch },
  { at: 'transfer', ...maps, takes: [{}, { budget: '5m' }] },
  {
    at: 'files',
    ...lists,
    takes: [
      [],
      [
        { path: '/a', content: '' },
        { path: '/b', directory: true },
      ],
    ],
  },
  ...['enable', 'disable', 'mask'].flatMap((list) => [
    { at: `units.${list}`, ...lists },
    { at: ['units', list, 0], ...unitNames },
  ]),
  { at: 'nodekiln.boot', ...flags },
  { at: 'nodekiln.agent', ...flags },
  { at: 'nodekiln.path', ...flags },
  {
    at: 'nodekiln.agentSource',
    takes: ['dir:/a', 'dir:/etc/nodekiln/desired'],
    refuses: {
      'must be a source like "dir:/etc/nodekiln/desired"': ['', '/a', 'dir:a', 'dir:/', 'xdir:/a', 'dir:/a b', 7],
    },
  },
];

// ── AgentConfig ──────────────────────────────────────────────────────────────────────────────────────────────────

const secretNames: Takes = {
  takes: ['a/b', 'kube-system/pool-a', 'a-1/b.c-d'],
  refuses: {
    'must be a Secret like "kube-system/pool-a"': [
      '',
      'a',
      '/a',
      'a/',
      'a/b/c',
      'A/b',
      'a/B',
      'a./b',
      'a/-b',
      '../b',
      7,
    ],
  },
};

const agentConfig: readonly Field[] = [
  {
    at: 'source',
    takes: ['dir:/a', 'secret:a/b', 'secret:kube-system/pool-a'],
    refuses: {
      'must be a source like "secret:kube-system/pool-a" or "dir:/etc/nodekiln/desired"': [
        '',
        'a',
        'dir:a',
        'secret:a',
        'secret:a/b/c',
        'xsecret:a/b',
        'secret:a/b x',
        7,
      ],
    },
  },
  {
    at: 'nodeName',
    takes: ['a', 'node-1.example.org'],
    refuses: {
      'must be the name of a node: lower case letters, digits, "-" and ".", like "node-1.example.org"': [
        '',
        'A',
        'a_b',
        7,
      ],
    },
  },
  { at: 'cluster.server', ...apiServers },
  { at: 'cluster.servers', ...lists },
  { at: ['cluster', 'servers', 0], ...apiServers },
  {
    at: 'cluster.caBundle',
    takes: [exampleAuthority],
    refuses: { 'must be certificates in PEM form': ['', certificate], 'must be a string': [7] },
  },
  { at: 'cluster.caFile', ...paths },
  { at: 'cluster.bootstrapTokenFile', ...paths },
  { at: 'cluster.kubeconfig', ...paths },
  { at: 'tokens', ...lists },
  { at: 'tokens.0.secret', ...secretNames },
  {
    at: 'tokens.0.key',
    takes: ['token', 'ca.crt', 'A_b-c'],
    refuses: { 'must be a key of a Secret’s data': ['', 'a/b', 'a b', 7] },
  },
  { at: 'tokens.0.path', ...paths },
  {
    at: 'tokens.0.mode',
    takes: ['0644', '0600'],
    refuses: { 'must be a string like "0644"': ['', '644', 420] },
  },
  { at: 'tokensPeriod', ...durations },
  { at: 'heartbeat.enabled', ...flags },
  {
    at: 'heartbeat.lease',
    takes: ['{node}', 'gardener-node-agent-{node}', '{node}.a'],
    refuses: { 'must be a name with "{node}" in it': ['', 'a', '{host}', 'A-{node}', 'a/{node}', '{node}!', 7] },
  },
  { at: 'heartbeat.duration', ...durations },
  { at: 'heartbeat.period', ...durations },
  { at: 'restarts.maxDelay', ...durations },
  { at: 'health.stuckAfter', ...timespans },
  { at: 'health.restartAfter', ...timespans },
  {
    at: 'health.maxRestarts',
    takes: [0, 5, 60],
    refuses: { 'must be a whole number from 0 to 60': [-1, 61], 'must be a whole number': [1.5, 'a'] },
  },
  { at: 'drift', ...choices('repair', 'report') },
  { at: 'resync', ...durations },
  {
    at: 'endpoint',
    takes: ['none', 'unix:/run/a.sock', '127.0.0.1:2752', '[::1]:1', 'localhost:80'],
    refuses: {
      'must be none, a socket like "unix:/run/nodekiln/agent.sock" or a loopback address like "127.0.0.1:2752"': [
        '',
        'unix:a',
        '0.0.0.0:80',
        '127.0.0.1',
        'x127.0.0.1:1',
        '10.0.0.1:80',
        'localhost:',
        7,
      ],
    },
  },
];

// ── Inventory ────────────────────────────────────────────────────────────────────────────────────────────────────

const entry = { skip: true, latest: null, previous: 'a', kubernetes: '1.34', update: false, other: { a: 1 } };
const orNull = (takes: Takes): Takes => ({ ...takes, takes: [...takes.takes, null] });

const inventory: readonly Field[] = [
  ...['packages', 'images', 'gpuImages', 'artifacts'].map((list) => ({ at: list, ...lists })),
  ...['', 'packages.0.', 'packages.0.blocks.0.', 'images.0.', 'gpuImages.0.', 'artifacts.0.'].map((item) => ({
    at: `${item}other`,
    ...maps,
  })),
  { at: 'packages.0.name', ...texts },
  { at: 'packages.0.location', ...anyTexts },
  { at: 'packages.0.blocks', ...lists },
  ...ofEach(['packages.0.blocks.0'], {
    os: anyTexts,
    release: anyTexts,
    variant: anyTexts,
    url: anyTexts,
    legacyVersions: textLists,
  }),
  { at: 'packages.0.blocks.0.entries', ...orNull(lists), takes: [[], [entry], null] },
  ...ofEach(['packages.0.blocks.0.entries.0', 'gpuImages.0.version'], {
    skip: flags,
    latest: orNull(anyTexts),
    previous: orNull(anyTexts),
    kubernetes: anyTexts,
    update: { takes: ['', 'a', false], refuses: { 'must be a string or false': [true, 7, null] } },
    other: maps,
  }),
  ...ofEach(['images.0'], {
    reference: anyTexts,
    amd64Only: textLists,
    multiArch: { ...lists, takes: [[], [entry], null] },
    legacyMultiArch: textLists,
    windows: { ...lists, takes: [[entry]] },
  }),
  { at: 'gpuImages.0.reference', ...anyTexts },
  ...ofEach(['artifacts.0'], { name: anyTexts, reference: anyTexts, windows: { ...lists, takes: [[entry]] } }),
];

// ── the test ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** The tree with the list or map around the place made when there is none, and the value there. */
function put(tree: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  if (typeof key === 'number') {
    const items: readonly unknown[] = Array.isArray(tree) ? tree : [];
    return Object.assign([...items], { [key]: put(items[key], rest, value) });
  }
  const map = isMap(tree) ? tree : {};
  return { ...map, [key]: put(map[key], rest, value) };
}

/** What is said of the document: each message with the path that it names; nothing when it is taken. */
async function complaints(kind: DocumentKind, spec: unknown): Promise<string[]> {
  const value = { apiVersion: 'nodekiln.dev/v1alpha1', kind, spec };
  const positions = { locate: () => ({ line: 1, column: 1 }) };
  try {
    await checkDocument({ file: 'a', value, positions }, kind);
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    assert.equal(thrown.code, 'NK_DOCUMENT_INVALID');
    return thrown.problems.map(({ message, place }) => `${place?.path}: ${message}`);
  }
}

for (const [kind, fields] of [
  ['NodeConfig', nodeConfig],
  ['ImageManifest', imageManifest],
  ['AgentConfig', agentConfig],
  ['Inventory', inventory],
] as const) {
  test(`${kind}: what is absent is taken`, async () => {
    assert.deepEqual(await complaints(kind, skeletons[kind]), []);
  });

  for (const { at, takes, refuses = {} } of fields) {
    const path = typeof at === 'string' ? at.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part)) : at;
    test(`${kind} ${formatPath(path)}`, async () => {
      for (const value of takes)
        assert.deepEqual(await complaints(kind, put(skeletons[kind], path, value)), [], JSON.stringify(value));
      for (const [complaint, values] of Object.entries(refuses)) {
        for (const value of values) {
          // Of an earlier source it takes away what was there.
          if (value === null && kind === 'NodeConfig') continue;
          const [first = 'nothing', ...others] = await complaints(kind, put(skeletons[kind], path, value));
          assert.ok(
            first.startsWith(formatPath(['spec', ...path])) && first.includes(` ${complaint}`),
            `of ${JSON.stringify(value)} is said: ${first}`,
          );
          assert.deepEqual(others, []);
        }
      }
    });
  }
}
