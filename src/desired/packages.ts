/**
 * Installing packages of the distribution, as actions with a guard that says when they are already there. Pure.
 *
 * The package manager starts nothing here: the bake forbids it around these actions, and undoes what maintainer scripts
 * enabled.
 */
import { base } from './render-items.ts';
import type { ActionResource } from '../model/resources.ts';

export interface Package {
  readonly name: string;
  /** Exact version; any when absent. */
  readonly version?: string | undefined;
}

export type PackageManager = 'apt' | 'dnf';

/**
 * Lists of packages age: one action brings them up to date and installs, because an older list names files that the
 * mirrors have dropped.
 *
 * The guard exits 0 when every package, given as `name` or `name=version`, is installed. Names are arguments of
 * both programs, never part of their text.
 */
const dpkgGuard = [
  'for want in "$@"; do',
  'name=${want%%=*}',
  'have=$(dpkg-query --show --showformat=\'${db:Status-Status} ${Version}\' "$name" 2>/dev/null) || exit 1',
  'case $want in *=*) [ "$have" = "installed ${want#*=}" ] ;; *) [ "${have%% *}" = installed ] ;; esac || exit 1',
  'done',
].join('\n');

const installTimeoutMs = 900_000;

export function installActions(name: string, manager: PackageManager, packages: readonly Package[]): ActionResource[] {
  const common = { kind: 'action', ...base({ scope: 'shared' }), timeoutMs: installTimeoutMs } as const;
  switch (manager) {
    case 'apt': {
      const wanted = packages.map((item) => (item.version === undefined ? item.name : `${item.name}=${item.version}`));
      const guard = { type: 'command', argv: ['sh', '-c', dpkgGuard, 'sh', ...wanted] } as const;
      const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
      const options = [
        '--yes',
        '--quiet',
        '--no-install-recommends',
        '--option=Dpkg::Options::=--force-confold',
        '--option=Dpkg::Use-Pty=0',
      ];
      const program = `apt-get update --quiet && exec apt-get install ${options.join(' ')} -- "$@"`;
      return [{ ...common, id: `action:install-${name}`, argv: ['sh', '-c', program, 'sh', ...wanted], guard, env }];
    }
    case 'dnf': {
      const wanted = packages.map((item) => (item.version === undefined ? item.name : `${item.name}-${item.version}`));
      const argv = ['dnf', 'install', '--assumeyes', '--setopt=install_weak_deps=False', ...wanted];
      return [
        {
          ...common,
          id: `action:install-${name}`,
          argv,
          guard: { type: 'command', argv: ['rpm', '--query', ...wanted] },
          env: { LC_ALL: 'C.UTF-8' },
        },
      ];
    }
  }
}
