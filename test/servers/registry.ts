/**
 * A real registry (Debian's docker-registry) on loopback, with the ways to log in that registries have, and the means to
 * fill it. Filling goes through a second, open instance on the same storage, so that it needs no login.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../lab/run.ts';
import { issueCertificate, makeAuthority } from './certificates.ts';
import { ensurePrograms } from './programs.ts';

export interface RegistryOptions {
  /** How to log in; `user` and `password` below do. Default: not at all. */
  readonly login?: 'basic' | 'bearer';
  /** PEM files of the server; HTTPS then. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export const user = 'baker';
export const password = 'pass:word ü';

export interface TestRegistry {
  /** `127.0.0.1:41234`, as it stands in references. */
  readonly host: string;
  readonly port: number;
  /** Address of the open instance, without a path. */
  readonly openUrl: string;
  /** Tokens given out so far, and how they were asked for. */
  readonly tokens: readonly string[];
  push(content: Pushed): Promise<string>;
  /** Folder with the registry's storage. */
  readonly storage: string;
  close(): Promise<void>;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** What to put into a repository under a tag (or by digest alone, without one). Returns the manifest's digest. */
export interface Pushed {
  readonly repository: string;
  readonly tag?: string;
  readonly mediaType: string;
  readonly blobs?: readonly Uint8Array[];
  readonly manifest: unknown;
}

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociIndex = 'application/vnd.oci.image.index.v1+json';
const emptyConfig = Buffer.from('{}');

export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

export function describe(content: Uint8Array, mediaType: string, title?: string): Descriptor {
  return {
    mediaType,
    digest: digestOf(content),
    size: content.length,
    ...(title !== undefined && { annotations: { 'org.opencontainers.image.title': title } }),
  };
}

/** As `oras push` makes them: an empty config and a layer for each file. */
export function artifact(
  files: Readonly<Record<string, Uint8Array>>,
  artifactType = 'application/vnd.example',
): Omit<Pushed, 'repository'> {
  return {
    mediaType: ociManifest,
    blobs: [emptyConfig, ...Object.values(files)],
    manifest: {
      schemaVersion: 2,
      mediaType: ociManifest,
      artifactType,
      config: describe(emptyConfig, 'application/vnd.oci.empty.v1+json'),
      layers: Object.entries(files).map(([title, content]) => describe(content, 'application/octet-stream', title)),
    },
  };
}

/** A container image of layers (tar archives, plain or compressed). */
export function image(layers: readonly Uint8Array[], architecture = 'amd64'): Omit<Pushed, 'repository'> {
  const config = Buffer.from(JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }));
  return {
    mediaType: ociManifest,
    blobs: [config, ...layers],
    manifest: {
      schemaVersion: 2,
      mediaType: ociManifest,
      config: describe(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) =>
        describe(layer, `application/vnd.oci.image.layer.v1.tar${layer[0] === 0x1f ? '+gzip' : ''}`),
      ),
    },
  };
}

export function indexOf(manifests: readonly Descriptor[]): Omit<Pushed, 'repository'> {
  return { mediaType: ociIndex, manifest: { schemaVersion: 2, mediaType: ociIndex, manifests } };
}

/** The manifest's descriptor, for an index. */
export function manifestDescriptor(pushed: Omit<Pushed, 'repository'>, architecture?: string): Descriptor {
  const content = Buffer.from(JSON.stringify(pushed.manifest));
  return {
    ...describe(content, pushed.mediaType),
    ...(architecture !== undefined && { platform: { os: 'linux', architecture } }),
  };
}

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  await ensurePrograms([
    { program: 'docker-registry', package: 'docker-registry', why: 'is the registry' },
    { program: 'htpasswd', package: 'apache2-utils', why: 'makes its users' },
    { program: 'openssl', package: 'openssl', why: 'makes its certificates' },
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-registry-'));
  const storage = join(folder, 'storage');
  await mkdir(storage);
  const tokens: string[] = [];
  const tokenServer = options.login === 'bearer' ? await startTokenServer(folder, tokens) : undefined;
  const processes: ChildProcess[] = [];

  const start = async (name: string, settings: Record<string, unknown>): Promise<number> => {
    const port = await freePort();
    const { http = {}, ...rest } = settings;
    const config = {
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${port}`, ...(http as object) },
      ...rest,
    };
    const file = join(folder, `${name}.json`);
    // JSON is YAML.
    await writeFile(file, JSON.stringify(config));
    const child = spawn('docker-registry', ['serve', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    processes.push(child);
    for (let waitedMs = 0; !(await answers(port)); waitedMs += 50) {
      if (child.exitCode !== null || waitedMs > 10_000) throw new Error(`docker-registry did not start:\n${said}`);
      await sleep(50);
    }
    return port;
  };

  const openPort = await start('open', {});
  const port = await start('front', {
    ...(options.tls && { http: { tls: options.tls } }),
    ...(options.login === 'basic' && { auth: { htpasswd: { realm: 'test', path: await writeUsers(folder) } } }),
    ...(tokenServer && {
      auth: {
        token: {
          realm: tokenServer.realm,
          service: 'test-registry',
          issuer: 'test-issuer',
          rootcertbundle: tokenServer.certificate,
        },
      },
    }),
  });
  const openUrl = `http://127.0.0.1:${openPort}`;
  return {
    host: `127.0.0.1:${port}`,
    port,
    openUrl,
    tokens,
    storage,
    push: (content) => push(openUrl, content),
    close: async () => {
      for (const child of processes) child.kill('SIGKILL');
      tokenServer?.server.closeAllConnections();
      tokenServer?.server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A certificate for 127.0.0.1 by an authority of its own; `days` below zero: expired. */
export async function makeCertificates(
  folder: string,
  days = 2,
): Promise<{ readonly ca: string; readonly certificate: string; readonly key: string }> {
  const authority = await makeAuthority(folder, 'ca');
  const server = await issueCertificate(folder, 'server', authority, {
    subject: '/CN=127.0.0.1',
    names: ['IP:127.0.0.1'],
    ...(days < 0 && { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-01-02') }),
  });
  return { ca: authority.certificate, ...server };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createSocketServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/v2/`).then(
    () => true,
    // A TLS server answers plain HTTP with 400, or with an error that is not about the connection.
    (error: unknown) => !/ECONNREFUSED/.test(String((error as { cause?: { code?: string } }).cause?.code)),
  );
}

async function writeUsers(folder: string): Promise<string> {
  const path = join(folder, 'htpasswd');
  const { stdout } = await run(['htpasswd', '-Bbin', user], { input: password }).catch(() =>
    run(['htpasswd', '-Bin', user], { input: password }),
  );
  await writeFile(path, stdout);
  return path;
}

// ── filling ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function push(url: string, { repository, tag, mediaType, blobs = [], manifest }: Pushed): Promise<string> {
  for (const blob of blobs) {
    const started = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const location = new URL(started.headers.get('location') ?? '', url);
    location.searchParams.set('digest', digestOf(blob));
    const put = await fetch(location, {
      method: 'PUT',
      body: new Uint8Array(blob),
      headers: { 'content-type': 'application/octet-stream' },
    });
    if (put.status !== 201) throw new Error(`pushing a blob: ${put.status} ${await put.text()}`);
  }
  const content = Buffer.from(JSON.stringify(manifest));
  const digest = digestOf(content);
  const put = await fetch(`${url}/v2/${repository}/manifests/${tag ?? digest}`, {
    method: 'PUT',
    body: content,
    headers: { 'content-type': mediaType },
  });
  if (put.status !== 201) throw new Error(`pushing a manifest: ${put.status} ${await put.text()}`);
  return digest;
}

// ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface TokenServer {
  readonly server: Server;
  readonly realm: string;
  readonly certificate: string;
}

/** Docker's token service in small: who knows the password, or has the refresh token `renew-me`, may pull anything. */
async function startTokenServer(folder: string, asked: string[]): Promise<TokenServer> {
  const certificate = join(folder, 'token.pem');
  const keyFile = join(folder, 'token.key');
  await run([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=token service',
    '-keyout',
    keyFile,
    '-out',
    certificate,
  ]);
  const key = createPrivateKey(await readFile(keyFile));
  const chain = (await readFile(certificate, 'utf8')).replace(/-----[^-]+-----|\s/g, '');
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

  const token = (scope: string): string => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const [type = '', name = '', actions = ''] = scope.split(':');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'test-issuer',
      sub: user,
      aud: 'test-registry',
      iat: now - 10,
      nbf: now - 10,
      exp: now + 300,
      jti: String(asked.length),
      access: type === '' ? [] : [{ type, name, actions: actions.split(',') }],
    };
    const signed = `${part({ typ: 'JWT', alg: 'RS256', x5c: [chain] })}.${part(claims)}`;
    return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
  };

  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://x');
      const parameters = request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
      const scope = parameters.get('scope') ?? '';
      const known =
        request.method === 'POST'
          ? parameters.get('refresh_token') === 'renew-me'
          : request.headers.authorization === expected || scope.startsWith('repository:public/');
      asked.push(`${request.method} ${scope} ${known ? 'granted' : 'refused'}`);
      if (!known) response.writeHead(401).end('{"errors":[]}');
      else
        response.end(
          JSON.stringify(request.method === 'POST' ? { access_token: token(scope) } : { token: token(scope) }),
        );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { server, certificate, realm: `http://127.0.0.1:${port}/token` };
}

// ── the same as a layout folder ──────────────────────────────────────────────────────────────────────────────────

/** Writes what a registry would hold into a folder in the OCI image layout; tags become `ref.name` annotations. */
export async function writeLayout(folder: string, pushed: readonly Omit<Pushed, 'repository'>[]): Promise<void> {
  const blobs = join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const put = (content: Uint8Array): Promise<void> =>
    writeFile(join(blobs, digestOf(content).slice('sha256:'.length)), content);
  const manifests: Descriptor[] = [];
  for (const { mediaType, manifest, tag, blobs: contents = [] } of pushed) {
    for (const content of contents) await put(content);
    const content = Buffer.from(JSON.stringify(manifest));
    await put(content);
    const annotations = tag === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': tag } };
    manifests.push({ ...describe(content, mediaType), ...annotations });
  }
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(folder, 'index.json'), JSON.stringify(indexOf(manifests).manifest));
}
