/** Documents with a secret in every field that may hold one, and what of a text would give it away. */
import { oscOf, inlineFile, type Json } from './osc.ts';

export const marker = 'hunter2hunter2hunter2';

/** Of the marker: as it is, and in base64 wherever it begins. */
export const traces: readonly string[] = [
  marker,
  ...[0, 1, 2].map((shift) =>
    Buffer.from(`${' '.repeat(shift)}${marker}`)
      .toString('base64')
      .slice(4, -4),
  ),
];

/** Nobody is there unless a test serves it. */
export const filesOrigin = 'https://files.example';
export const registryOrigin = 'https://registry.example';
export const mirrorOrigin = 'https://mirror.example';
export const probeOrigin = 'http://127.0.0.1:8080';

export const withSecret = (origin: string, path = ''): string =>
  `${origin.replace('://', `://user:${marker}@`)}${path}?sig=${marker}#${marker}`;
const withUser = (origin: string): string => origin.replace('://', `://user:${marker}@`);

/** Where a server leads that would have a secret told. */
export const elsewhere = withSecret('https://elsewhere.example', '/a');

const proxy = `http://user:${marker}@proxy.example:3128`;
const sensitive = { content: `key: ${marker}\n`, sensitive: true };

/** What of a NodeConfig may hold a secret: all but what is needed for one, and cluster's. */
export const secretSpec: Json = {
  network: { proxy: { http: proxy, https: proxy } },
  containerd: {
    configuration: {
      plugins: { 'io.containerd.grpc.v1.cri': { registry: { configs: { a: { auth: { password: marker } } } } } },
    },
    registries: [
      {
        host: 'docker.io',
        server: withUser('https://registry-1.docker.io'),
        mirrors: [{ url: withUser(mirrorOrigin) }],
      },
    ],
  },
  binaries: {
    transfer: { budget: '5s', proxy, mirrors: [{ host: 'registry.example', url: withUser(mirrorOrigin) }] },
    tools: Object.fromEntries(
      Object.entries({
        custom: { url: withSecret(filesOrigin, '/custom') },
        private: { privateUrl: withSecret(filesOrigin, '/private') },
        tarball: { sources: { tarball: { url: withSecret(filesOrigin, '/tarball'), type: 'file' } } },
        mirrored: { sources: { mirror: { reference: 'registry.example/mirrored:{tag}', type: 'file' } } },
        apt: {
          sources: {
            repository: { type: 'apt', url: withUser('https://apt.example'), suite: 'noble', signedBy: '/etc/key.gpg' },
          },
        },
        dnf: { sources: { repository: { type: 'dnf', url: withUser('https://dnf.example'), keys: ['/etc/KEY'] } } },
      }).map(([name, about]) => [name, { version: '1.2.3', importance: 'bestEffort', ...about }]),
    ),
  },
  files: [
    { path: '/etc/secret', ...sensitive },
    { path: '/etc/secret.bin', contentBase64: Buffer.from(` ${marker}`).toString('base64'), sensitive: true },
  ],
  units: [
    {
      name: 'secret.service',
      content: `[Service]\nEnvironment=TOKEN=${marker}\nExecStart=/bin/a\n`,
      dropIns: [{ name: '10-a.conf', content: `[Service]\nEnvironment=MORE=${marker}\n` }],
      sensitive: true,
      state: 'started',
      importance: 'bestEffort',
      readiness: { http: withSecret(probeOrigin, '/healthz') },
      deadline: '2s',
    },
    { name: 'open.service', content: '[Service]\nExecStart=/bin/b\n', state: 'started', importance: 'bestEffort' },
  ],
  actions: [
    {
      name: 'told',
      argv: ['tell', 'all'],
      guard: { path: '/done' },
      env: { TOKEN: marker, LONGER: `${marker}-and-more`, LINES: `one\n${marker}`, PROXY: proxy },
      timeout: '5s',
      importance: 'bestEffort',
    },
  ],
};

/** What of an OperatingSystemConfig may hold a secret. */
export const secretOsc: Json = oscOf({
  criConfig: {
    name: 'containerd',
    containerd: {
      sandboxImage: 'registry.example/pause:1',
      plugins: [
        { path: ['io.containerd.grpc.v1.cri', 'registry', 'configs', 'a', 'auth'], values: { password: marker } },
      ],
      registries: [
        {
          upstream: 'registry.example',
          server: withUser(registryOrigin),
          hosts: [{ url: withUser(mirrorOrigin) }],
          readinessProbe: true,
        },
      ],
    },
  },
  files: [
    inlineFile('/etc/secret', marker, { permissions: 0o600 }),
    { path: '/opt/placed', content: { imageRef: { image: 'registry.example/a:1', filePathInImage: '/a' } } },
  ],
  units: [
    {
      name: 'secret.service',
      enable: true,
      command: 'start',
      content: `[Service]\nEnvironment=TOKEN=${marker}\nExecStart=/bin/a\n`,
      dropIns: [{ name: '10-a.conf', content: `[Service]\nEnvironment=MORE=${marker}\n` }],
    },
  ],
});
