/**
 * What is measured: packages of one program of 100 MB (a real kubelet, repeated and cut), in every form and compression,
 * and the compressed archives by themselves, for the floor. Made once, kept in the cache.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildDeb, buildRpm } from '../../test/support/artifacts.ts';
import { kubelet } from '../../test/lab/binaries.ts';
import { cached } from '../../test/lab/cache.ts';
import { run } from '../../test/lab/run.ts';
import { ensurePrograms } from '../../test/servers/programs.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

export interface Package {
  readonly form: 'deb' | 'rpm';
  readonly compression: Compression;
  readonly path: string;
}

export interface Packages {
  readonly list: readonly Package[];
  /** The program itself. */
  readonly member: string;
  /** A tar archive of the program, compressed. */
  readonly archive: Readonly<Record<Compression, string>>;
}

export const memberBytes = 100_000_000;
export const memberPath = 'usr/bin/kubelet';

const compressors: Readonly<Record<Compression, readonly string[]>> = {
  none: ['cat'],
  gzip: ['gzip', '-6', '-c'],
  zstd: ['zstd', '-19', '-T0', '-q', '-c'],
  xz: ['xz', '-6', '-T0', '-c'],
  bzip2: ['bzip2', '-c'],
};

const combinations: readonly (readonly ['deb' | 'rpm', Compression])[] = [
  ['deb', 'none'],
  ['deb', 'gzip'],
  ['deb', 'zstd'],
  ['deb', 'xz'],
  ['rpm', 'none'],
  ['rpm', 'gzip'],
  ['rpm', 'zstd'],
  ['rpm', 'xz'],
  ['rpm', 'bzip2'],
];

export async function packages(say: (line: string) => void): Promise<Packages> {
  await ensurePrograms([
    { program: 'dpkg-deb', package: 'dpkg', why: 'makes and reads .deb packages' },
    { program: 'rpmbuild', package: 'rpm', why: 'makes .rpm packages' },
    { program: 'rpm2cpio', package: 'rpm', why: 'reads .rpm packages' },
    { program: 'cpio', package: 'cpio', why: 'reads .rpm packages' },
    { program: 'bsdtar', package: 'libarchive-tools', why: 'reads both' },
    { program: 'xz', package: 'xz-utils', why: 'compresses' },
    { program: 'zstd', package: 'zstd', why: 'compresses' },
    { program: 'bzip2', package: 'bzip2', why: 'compresses' },
  ]);
  const source = await kubelet('v1.34.3', say);
  const folder = await cached('bench/packages-1', async (dir) => {
    say('making packages of 100 MB in nine compressions, once');
    await mkdir(dir, { recursive: true });
    const bytes = await readFile(source);
    const content = Buffer.concat([bytes, bytes]).subarray(0, memberBytes);
    await writeFile(join(dir, 'member'), content, { mode: 0o755 });
    for (const [form, compression] of combinations) {
      const into = join(dir, `${form}-${compression}`);
      await mkdir(into);
      const spec = { name: 'kubelet', version: '1.34.3', release: '1', files: { [memberPath]: content } };
      if (form === 'rpm') buildRpm(into, spec, compression);
      else if (compression !== 'bzip2') buildDeb(into, spec, compression);
    }
    const tar = `tar -C ${dir} --transform 's,^member$,./${memberPath},' -cf - member`;
    for (const [name, argv] of Object.entries(compressors))
      await run(['sh', '-c', `${tar} | ${argv.join(' ')} >${join(dir, `archive.${name}`)}`]);
  });
  const only = async (form: string, compression: Compression): Promise<string> => {
    const { stdout } = await run(['sh', '-c', `echo ${join(folder, `${form}-${compression}`)}/*.${form}`]);
    return stdout.trim();
  };
  const list = await Promise.all(
    combinations.map(async ([form, compression]) => ({ form, compression, path: await only(form, compression) })),
  );
  const archive = (name: Compression): string => join(folder, `archive.${name}`);
  return {
    list,
    member: join(folder, 'member'),
    archive: {
      none: archive('none'),
      gzip: archive('gzip'),
      zstd: archive('zstd'),
      xz: archive('xz'),
      bzip2: archive('bzip2'),
    },
  };
}
