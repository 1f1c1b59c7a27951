/** The installed set is the locked one: nothing missing, nothing changed, nothing that came along by accident. */
import type { Host } from '../../host/port.ts';
import type { ImageLock, ImagePackage } from '../../image/image-lock.ts';
import { comparePackages, installedPackages, type PackageDifference } from '../../image/packages.ts';
import { subjectOf, type Check } from './check.ts';

export async function checkPackages(host: Host, { packages: locked }: ImageLock): Promise<Check[]> {
  const checks: Check[] = [];
  const { manager, packages } = await installedPackages(host);
  const all = subjectOf(checks, 'packages', 'package manager');
  if (!all.judge('is the same', manager === locked.manager ? undefined : `${manager} instead of ${locked.manager}`))
    return checks;
  const differences = comparePackages([...locked.before, ...locked.installed], packages);
  const about = new Map(
    differences.flatMap((difference) =>
      difference.type === 'unexpected' ? [] : [[nameOf(difference.package), describe(difference)] as const],
    ),
  );
  for (const item of locked.installed) {
    const name = nameOf(item);
    subjectOf(checks, 'packages', name).judge('installed as locked', about.get(name));
    about.delete(name);
  }
  const base = [...about.values()];
  const unexpected = differences.filter(({ type }) => type === 'unexpected').map(describe);
  subjectOf(checks, 'packages', 'of the root itself').judge(
    'as before the bake',
    base.length === 0 ? undefined : base.join('; '),
  );
  subjectOf(checks, 'packages', 'others').judge('none', unexpected.length === 0 ? undefined : unexpected.join('; '));
  return checks;
}

function nameOf({ name, architecture }: ImagePackage): string {
  return `${name}:${architecture}`;
}

function describe(difference: PackageDifference): string {
  const name = nameOf(difference.package);
  switch (difference.type) {
    case 'missing':
      return `${name} ${difference.package.version} is not installed`;
    case 'unexpected':
      return `${name} ${difference.package.version} is installed`;
    case 'version':
      return `${name} is ${difference.package.version}, not ${difference.wanted}`;
  }
}
