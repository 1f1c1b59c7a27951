/**
 * Installing packages of the distribution, as actions with a guard that says when they are already there. Pure.
 *
 * The package manager starts nothing here: the bake forbids it around these actions, and undoes what maintainer scripts
 * enabled.
 */
import { base } from './render-items.ts';
import type { ActionResource, PackageManager } from '../model/resources.ts';
import { stateFolder } from '../model/state-paths.ts';

export interface Package {
  readonly name: string;
  /** Exact version; any when absent. */
  readonly version?: string | undefined;
}

/**
 * Lists of packages age: one action brings them up to date and installs, because an older list names files that the
 * mirrors have dropped.
 *
 * The guard exits 0 when every package, given as `name` or `name=version`, is installed, and none is half-way. Names are arguments of
 * both programs, never part of their text.
 */
const dpkgGuard = [
  // Also of a package that another one's installation ran a script of.
  "dpkg-query --show --showformat='${db:Status-Status}\\n' | grep -qE '^(half-|unpacked|triggers-)' && exit 1",
  'for want in "$@"; do',
  'name=${want%%=*}',
  // Of several architectures all are one version.
  'have=$(dpkg-query --show --showformat=\'${db:Status-Status} ${Version}\\n\' "$name" 2>/dev/null | sort -u)',
  'case $want in *=*) [ "$have" = "installed ${want#*=}" ] ;; *) [ "${have%% *}" = installed ] ;; esac || exit 1',
  'done',
].join('\n');

/** A file of the administrator's stays as it is, and nobody is asked. */
const keepConfiguration = '--force-confold';
/** For everything, further attempts included. */
const installTimeoutMs = 900_000;
/** Of one connection, in seconds; of one file; of the wait for another package manager, in seconds. */
const [connectionTimeout, retries, lockTimeout] = [30, 3, 120];

/**
 * What an installation that was killed has left: a database in the middle of a change, packages that are half there, which count as
 * the newest version, packages without what they need. apt-get itself takes up none of it.
 */
const finishing = (options: { install: string; dpkg: string }): string[] => [
  `left() { dpkg-query --show --showformat='\${db:Status-Status} \${binary:Package}\\n' | sed -n "s/^$1 //p"; }`,
  `[ -z "$(ls /var/lib/dpkg/updates)" ] || dpkg ${options.dpkg} --configure --pending`,
  `[ -z "$(left half-installed)" ] || apt-get install --reinstall ${options.install} -- $(left half-installed)`,
  `[ -z "$(left unpacked)" ] || apt-get install --fix-broken ${options.install}`,
];

/**
 * `apt-get update` ends with 0 when it could not fetch an index, and install would then take what old lists name; newer
 * ones have an option against it, all say so in these words.
 */
const aptProgram = (options: { update: string; install: string; dpkg: string }): string =>
  [
    `said=$(apt-get update ${options.update} 2>&1); status=$?`,
    `printf '%s\\n' "$said"`,
    '[ "$status" -eq 0 ] || exit "$status"',
    "case $said in *'W: Failed to fetch'* | *'W: Some index files failed'*) exit 100 ;; esac",
    ...finishing(options),
    `exec apt-get install ${options.install} -- "$@"`,
  ].join('\n');

/** Programs that install from dnf repositories, the first that the root has; the last is of systems before dnf. */
export const dnfPrograms = ['dnf', 'dnf5', 'tdnf', 'microdnf', 'yum'] as const;

/** A repository that is away is a failure: an older package of another one would be taken for the newest. */
const whole = '--setopt=*.skip_if_unavailable=False';

/** State of the root: what packages there were before an installation, until that has come to its end, and what it needs. */
const unfinished = `${stateFolder}/rpms`;

/** In the words of rpm, yum, dnf and dnf5. */
const failedScript = 'scriptlet failed, |lua script failed: |Error in .* scriptlet|scriptlet failure in';

/**
 * Each program knows other options. All fetch the lists anew: an older one names files that the mirrors have dropped. 127 without
 * any, as a shell says it.
 *
 * rpm counts a package as installed before its last scripts run, and no program that uses it fails when one of them does: they only
 * say so. So it is known until the end of an installation what was there before, and the next one begins with what is new or
 * changed since: what is new goes, without its scripts, and is installed like any other; what has become newer is
 * installed again.
 *
 * rpm's plugin `unshare` wants namespaces for each script, which an installer may not make: every shell script would fail. They are
 * in namespaces already.
 */
const dnfProgram = (transfer: string): string =>
  [
    `for program in ${dnfPrograms.join(' ')}; do`,
    'command -v "$program" >/dev/null || continue',
    'case $program in',
    `dnf | dnf5) options='--assumeyes --refresh --setopt=install_weak_deps=False ${whole} ${transfer}' ;;`,
    "tdnf) options='--assumeyes --refresh' ;;",
    "microdnf) microdnf clean all; options='--assumeyes --setopt=install_weak_deps=0' ;;",
    `yum) yum --quiet clean expire-cache; options='--assumeyes ${transfer}' ;;`,
    'esac',
    'set -f',
    `mkdir -p ${stateFolder} && exec 9<${stateFolder} || exit`,
    '! command -v flock >/dev/null || flock 9',
    `mkdir -p ${unfinished}/rpm && cd ${unfinished} || exit`,
    "echo '%__transaction_unshare %{nil}' >rpm/macros",
    'export XDG_CONFIG_HOME="$PWD"',
    "rpms() { rpm --query --all --queryformat '%{NAME} %{VERSION}-%{RELEASE} %{INSTALLTID}\\n' | grep -v '^gpg-pubkey ' | sort; }",
    'run() {',
    '{ "$program" "$@" 2>&1; echo "$?" >status; } | tee said',
    'read -r status <status',
    '[ "$status" -eq 0 ] || exit "$status"',
    `! grep -E '${failedScript}' said >&2 || exit 1`,
    '}',
    'if [ -e before ]; then',
    'new= newer=',
    'for name in $(rpms | comm -13 before - | cut -d" " -f1 | sort -u); do',
    'if cut -d" " -f1 before | grep -qxF -- "$name"; then newer="$newer $name"; else new="$new $name"; fi',
    'done',
    '[ -z "$new" ] || rpm --erase --allmatches --nodeps --noscripts $new || exit',
    '[ -z "$newer" ] || run reinstall $options $newer',
    'fi',
    'rpms >all && mv all before || exit',
    `trap '[ "$(rpms)" != "$(cat before)" ] || rm -r ${unfinished}' EXIT`,
    'run install $options "$@"',
    `trap - EXIT; exec rm -r ${unfinished}`,
    'done',
    `echo 'there is none of ${dnfPrograms.join(', ')}' >&2; exit 127`,
  ].join('\n');

/** Exits 0 when every package is installed, and no installation is unfinished but one that is at work. */
const rpmGuard = [
  'free() { ! command -v flock >/dev/null || flock -n 9; }',
  `[ -e ${unfinished} ] && exec 9<${stateFolder} && free && [ -e ${unfinished} ] && exit 1`,
  'exec 9<&-; exec rpm --query "$@"',
].join('\n');

export function installActions(name: string, manager: PackageManager, packages: readonly Package[]): ActionResource[] {
  const common = {
    kind: 'action',
    id: `action:install-${name}`,
    ...base({ scope: 'shared' }),
    timeoutMs: installTimeoutMs,
    packageManager: manager,
  } as const;
  switch (manager) {
    case 'apt': {
      const wanted = packages.map((item) => (item.version === undefined ? item.name : `${item.name}=${item.version}`));
      const transfer = [
        `--option=Acquire::Retries=${retries}`,
        `--option=Acquire::http::Timeout=${connectionTimeout}`,
        `--option=Acquire::https::Timeout=${connectionTimeout}`,
      ];
      const install = [
        '--yes',
        '--quiet',
        '--no-install-recommends',
        `--option=Dpkg::Options::=${keepConfiguration}`,
        '--option=Dpkg::Use-Pty=0',
        `--option=DPkg::Lock::Timeout=${lockTimeout}`,
        ...transfer,
      ];
      const program = aptProgram({
        update: ['--quiet', ...transfer].join(' '),
        install: install.join(' '),
        dpkg: keepConfiguration,
      });
      return [
        {
          ...common,
          argv: ['sh', '-c', program, 'sh', ...wanted],
          guard: { type: 'command', argv: ['sh', '-c', dpkgGuard, 'sh', ...wanted] },
          env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
          title: `apt-get install of ${wanted.join(', ')}`,
        },
      ];
    }
    case 'dnf': {
      const wanted = packages.map((item) => (item.version === undefined ? item.name : `${item.name}-${item.version}`));
      const program = dnfProgram(`--setopt=retries=${retries} --setopt=timeout=${connectionTimeout}`);
      return [
        {
          ...common,
          argv: ['sh', '-c', program, 'sh', ...wanted],
          guard: { type: 'command', argv: ['sh', '-c', rpmGuard, 'sh', ...wanted] },
          env: { LC_ALL: 'C.UTF-8' },
          title: `dnf install of ${wanted.join(', ')}`,
        },
      ];
    }
  }
}
