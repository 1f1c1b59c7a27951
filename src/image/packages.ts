/**
 * The packages that the distribution's package manager says are installed. dpkg's database is a text file; RPM's is asked
 * through `rpm` of the host itself. A package in any state but installed carries that state in its version, so that it
 * never counts as what was locked.
 *
 * Errors: NK_TOOL_MISSING, NK_ACTION_FAILED (rpm does not answer).
 */
import { NodekilnError } from '../errors.ts';
import type { ExecResult, Host } from '../host/port.ts';
import type { ImageLock, ImagePackage } from './image-lock.ts';
import { textOf } from '../model/bytes.ts';

export interface InstalledPackages {
  readonly manager: ImageLock['packages']['manager'];
  readonly packages: readonly ImagePackage[];
}

const dpkgStatus = '/var/lib/dpkg/status';
const rpmDatabases = ['/usr/lib/sysimage/rpm', '/var/lib/rpm'];
const rpmQuery = ['rpm', '--query', '--all', '--queryformat'];
const rpmFormat = '%{NAME}\\t%{ARCH}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n';

export async function installedPackages(host: Pick<Host, 'files' | 'exec'>): Promise<InstalledPackages> {
  const status = await host.files.read(dpkgStatus);
  if (status !== undefined) return { manager: 'dpkg', packages: parseDpkgStatus(textOf(status)) };
  for (const folder of rpmDatabases) {
    if ((await host.files.list(folder)).length > 0) return { manager: 'rpm', packages: await queryRpm(host.exec) };
  }
  return { manager: 'none', packages: [] };
}

async function queryRpm(exec: Host['exec']): Promise<ImagePackage[]> {
  const ask = (confined: boolean): Promise<ExecResult> =>
    exec.run([...rpmQuery, rpmFormat], { timeoutMs: 60_000, maxOutput: 16 * 1024 * 1024, confined });
  // A database that wants to be written, if only its lock, is asked by who may change the root.
  const alone = await ask(true);
  const result = alone.status === 0 && alone.stdout !== '' ? alone : await ask(false);
  if (result.status !== 0) {
    throw new NodekilnError('NK_ACTION_FAILED', `rpm --query ended with exit status ${result.status}`, {
      lines: result.stderr.trim().split('\n').slice(-5),
    });
  }
  return result.stdout.split('\n').flatMap((line) => {
    const [name, architecture, version] = line.split('\t');
    return name && architecture && version ? [{ name, architecture, version }] : [];
  });
}

/** deb822 paragraphs; see dpkg-query(1) for the three words of `Status`. */
export function parseDpkgStatus(text: string): ImagePackage[] {
  return text.split(/\n\n+/).flatMap((paragraph) => {
    const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1];
    const [name, version] = [field('Package'), field('Version')];
    const state = field('Status')?.split(' ').at(-1);
    // Removed, with or without configuration files left.
    if (name === undefined || version === undefined || state === 'not-installed' || state === 'config-files') return [];
    const shown = state === 'installed' ? version : `${version} (${state})`;
    return [{ name, architecture: field('Architecture') ?? '', version: shown }];
  });
}

export interface PackageFile {
  readonly digest: string;
  readonly size: number;
}

/** What apt's lists say of the files of these packages, by `name architecture version`; nothing where there are no lists. */
export async function packageFiles(
  host: Pick<Host, 'exec' | 'files'>,
  packages: readonly ImagePackage[],
): Promise<Map<string, PackageFile>> {
  const found = new Map<string, PackageFile>();
  if (packages.length === 0 || (await host.files.stat('/usr/bin/apt-cache')) === undefined) return found;
  const wanted = packages.map(({ name, architecture, version }) =>
    // Packages for every architecture are listed under the host's own.
    architecture === 'all' ? `${name}=${version}` : `${name}:${architecture}=${version}`,
  );
  const { stdout } = await host.exec.run(['apt-cache', 'show', '--no-all-versions', ...wanted], {
    timeoutMs: 60_000,
    maxOutput: 16 * 1024 * 1024,
    env: { LC_ALL: 'C.UTF-8' },
  });
  for (const paragraph of stdout.split(/\n\n+/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1];
    const [digest, size] = [field('SHA256'), Number(field('Size'))];
    if (digest === undefined || !Number.isSafeInteger(size)) continue;
    found.set(`${field('Package')} ${field('Architecture')} ${field('Version')}`, { digest: `sha256:${digest}`, size });
  }
  return found;
}

export type PackageDifference =
  | { readonly type: 'unexpected' | 'missing'; readonly package: ImagePackage }
  | { readonly type: 'version'; readonly package: ImagePackage; readonly wanted: string };

/** How the installed set differs from the wanted one. Several versions of one package (kernels) are compared one by one. Pure. */
export function comparePackages(
  wanted: readonly ImagePackage[],
  installed: readonly ImagePackage[],
): PackageDifference[] {
  const exact = ({ name, architecture, version }: ImagePackage): string => `${name}\0${architecture}\0${version}`;
  const loose = ({ name, architecture }: ImagePackage): string => `${name}\0${architecture}`;
  const wantedExactly = new Set(wanted.map(exact));
  const installedExactly = new Set(installed.map(exact));
  const missing = wanted.filter((item) => !installedExactly.has(exact(item)));
  const extra = installed.filter((item) => !wantedExactly.has(exact(item)));
  const open = new Map(missing.map((item) => [loose(item), item]));
  const differences = extra.map((item): PackageDifference => {
    const other = open.get(loose(item));
    if (!other) return { type: 'unexpected', package: item };
    open.delete(loose(item));
    return { type: 'version', package: item, wanted: other.version };
  });
  const paired = new Set(
    differences.flatMap((difference) =>
      difference.type === 'version' ? [exact({ ...difference.package, version: difference.wanted })] : [],
    ),
  );
  return [
    ...differences,
    ...missing
      .filter((item) => !paired.has(exact(item)))
      .map((item): PackageDifference => ({ type: 'missing', package: item })),
  ];
}
