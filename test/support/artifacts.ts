/** Real, small packages for tests, made by dpkg-deb, rpmbuild and tar. Only tests import this. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Host } from '../../src/host/port.ts';

export interface PackageSpec {
  readonly name: string;
  readonly version: string;
  readonly release?: string;
  readonly epoch?: number;
  /** Debian's name; `amd64` unless told. */
  readonly architecture?: string;
  /** Path inside the package → content. */
  readonly files: Readonly<Record<string, string | Buffer>>;
  /** More fields of a .deb's control file, or of a .rpm's head. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Scripts and conffiles of a .deb, sections of a .rpm, by name. Default: one that leaves a trace on this machine. */
  readonly scripts?: Readonly<Record<string, string>>;
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'nodekiln-artifacts-'));
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export function writeTree(root: string, files: PackageSpec['files']): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    chmodSync(join(root, path), 0o755);
  }
}

/** A program by its form that ends at once, in violation of its memory. Repeats enough to compress, varies enough not to vanish. */
export function programBytes(
  size: number,
  seed: number,
  architecture: 'amd64' | 'arm64' = process.arch === 'x64' ? 'amd64' : 'arm64',
): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = i % 3 === 0 ? state >>> 24 : (i >> 4) & 0xff;
  }
  elfHeader(architecture, size).copy(bytes);
  return bytes;
}

/** An executable's header and its one segment: the whole file, to be read only. */
function elfHeader(architecture: 'amd64' | 'arm64', size: number): Buffer {
  const [headerBytes, segmentBytes, address] = [64, 56, 0x400000n];
  const header = Buffer.alloc(headerBytes + segmentBytes);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(architecture === 'amd64' ? 62 : 183, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(address + 120n, 24);
  header.writeBigUInt64LE(64n, 32);
  for (const [at, value] of [
    [52, headerBytes],
    [54, segmentBytes],
    [56, 1],
  ] as const)
    header.writeUInt16LE(value, at);
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(4, 68);
  header.writeBigUInt64LE(address, 80);
  header.writeBigUInt64LE(address, 88);
  header.writeBigUInt64LE(BigInt(size), 96);
  header.writeBigUInt64LE(BigInt(size), 104);
  header.writeBigUInt64LE(4096n, 112);
  return header;
}

export function buildDeb(
  folder: string,
  spec: PackageSpec,
  compression: 'none' | 'gzip' | 'xz' | 'zstd' = 'gzip',
): string {
  const root = mkdtempSync(join(folder, 'deb-'));
  writeTree(root, spec.files);
  mkdirSync(join(root, 'DEBIAN'));
  const version = `${spec.epoch === undefined ? '' : `${spec.epoch}:`}${spec.version}${spec.release === undefined ? '' : `-${spec.release}`}`;
  const control = {
    Package: spec.name,
    Version: version,
    Architecture: spec.architecture ?? 'amd64',
    Maintainer: 'nobody <nobody@example.org>',
    Description: 'made by a test',
    ...spec.fields,
  };
  writeFileSync(
    join(root, 'DEBIAN/control'),
    Object.entries(control)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
  );
  // Would be seen if it ever ran.
  const scripts = spec.scripts ?? { postinst: `#!/bin/sh\ntouch ${folder}/script-ran\n` };
  for (const [name, text] of Object.entries(scripts))
    writeFileSync(join(root, 'DEBIAN', name), text, { mode: name === 'conffiles' ? 0o644 : 0o755 });
  const path = join(folder, `${spec.name}_${version.replace(/^\d+:/, '')}_${spec.architecture ?? 'amd64'}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '-b', root, path], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  rmSync(root, { recursive: true });
  return path;
}

const payloads = {
  none: 'w.ufdio',
  gzip: 'w6.gzdio',
  xz: 'w2.xzdio',
  lzma: 'w2.lzdio',
  zstd: 'w3.zstdio',
  bzip2: 'w6.bzdio',
};

export function buildRpm(folder: string, spec: PackageSpec, compression: keyof typeof payloads = 'gzip'): string {
  const top = mkdtempSync(join(folder, 'rpm-'));
  writeTree(join(top, 'tree'), spec.files);
  const lines = [
    `Name: ${spec.name}`,
    `Version: ${spec.version}`,
    `Release: ${spec.release ?? '1'}`,
    ...(spec.epoch === undefined ? [] : [`Epoch: ${spec.epoch}`]),
    'Summary: made by a test',
    'License: none',
    'AutoReqProv: no',
    ...Object.entries(spec.fields ?? {}).map(([key, value]) => `${key}: ${value}`),
    '%description',
    'made by a test',
    '%install',
    `cp -a ${top}/tree/. %{buildroot}/`,
    ...Object.entries(spec.scripts ?? { '%post': `touch ${folder}/script-ran` }).flat(),
    '%files',
    ...Object.keys(spec.files).map((path) => `/${path}`),
  ];
  writeFileSync(join(top, 'x.spec'), `${lines.join('\n')}\n`);
  const defines = {
    _topdir: join(top, 'top'),
    _binary_payload: payloads[compression],
    __os_install_post: '%{nil}',
    debug_package: '%{nil}',
    _build_id_links: 'none',
  };
  const args = Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`]);
  const target = spec.architecture === 'arm64' ? ['--target', 'aarch64'] : ['--target', 'x86_64'];
  execFileSync('rpmbuild', ['-bb', '--quiet', ...target, ...args, join(top, 'x.spec')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const built = join(top, 'top/RPMS', spec.architecture === 'arm64' ? 'aarch64' : 'x86_64');
  const [name] = readdirSync(built);
  if (name === undefined) throw new Error('rpmbuild made nothing');
  const path = join(folder, name);
  cpSync(join(built, name), path);
  rmSync(top, { recursive: true });
  return path;
}

const tarFlags = {
  none: [],
  gzip: ['-z'],
  xz: ['-J'],
  lzma: ['--use-compress-program', 'xz --format=lzma'],
  zstd: ['--zstd'],
  bzip2: ['-j'],
};

export function buildTarball(
  folder: string,
  name: string,
  options: { files: PackageSpec['files']; compression?: keyof typeof tarFlags; args?: readonly string[] },
): string {
  const root = mkdtempSync(join(folder, 'tar-'));
  writeTree(root, options.files);
  const path = join(folder, name);
  execFileSync('tar', [
    '-C',
    root,
    ...tarFlags[options.compression ?? 'none'],
    ...(options.args ?? []),
    '-cf',
    path,
    '.',
  ]);
  rmSync(root, { recursive: true });
  return path;
}

/** A host whose archives see files in pieces of this size. */
export function inPieces<H extends Pick<Host, 'archives'>>(host: H, size: number): H {
  const { archives } = host;
  return {
    ...host,
    archives: {
      ...archives,
      read: (request) => {
        const { file } = request;
        return archives.read({
          ...request,
          file: { ...file, read: (position, length) => file.read(position, Math.min(length, size)) },
        });
      },
    },
  };
}
