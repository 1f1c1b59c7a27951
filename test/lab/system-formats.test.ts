/**
 * What is written for the system of a node, as the programs of Debian 12 and 13 read it: modules as systemd-modules-load does,
 * authorities as update-ca-certificates and OpenSSL do. RPM systems’ update-ca-trust is a script of calls of p11-kit, which is
 * the program that reads the folder: Debian's, of the versions that RPM systems have, with the folders that it is built with there.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parseDocument } from '../../src/config/load.ts';
import { resolveNodeConfig } from '../../src/config/resolve.ts';
import { renderNode } from '../../src/desired/render-node.ts';
import { exampleFacts, type Facts } from '../../src/model/facts.ts';
import { reveal, type DesiredState } from '../../src/model/resources.ts';
import { inRoot, withFolder } from './in-root.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot, rootFolder } from './root.ts';

async function rendered(spec: object, facts: Partial<Facts> = {}): Promise<DesiredState> {
  const whole = { kubernetes: { version: '1.34.3' }, ...spec };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec: whole });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
  return renderNode(config, { ...exampleFacts, ...facts });
}

/** Files of the document below one folder, written below another. */
async function put(desired: DesiredState, below: string, folder: string): Promise<void> {
  for (const resource of desired.resources.values()) {
    const entry = resource.kind === 'file' ? resource.entry : undefined;
    if (resource.kind !== 'file' || !resource.path.startsWith(below)) continue;
    if (entry?.type !== 'file' || !('text' in entry.content)) continue;
    await mkdir(dirname(join(folder, resource.path)), { recursive: true });
    await writeFile(join(folder, resource.path), reveal(entry.content.text));
  }
}

before(() => installPrerequisites(console.error), { timeout: 300_000 });

const suites = ['bookworm', 'trixie'] as const;

describe('modules', () => {
  const names = ['br_netfilter', 'nf-conntrack', 'overlay', 'x', 'ip_vs_rr', 'a1'];
  for (const suite of suites)
    test(`are those that ${suite}’s systemd looks for`, { timeout: 120_000 }, () =>
      withFolder(async (folder) => {
        const modules = names.map((name) => ({ name, importance: 'required' }));
        await put(await rendered({ kernel: { modules } }), '/etc/modules-load.d/', folder);
        // The root has no modules: each is looked for, and none is found.
        const script = `
          mount -t proc proc "$2/proc"
          mount -t tmpfs none "$2/usr/lib/modules" 2>/dev/null || :
          chroot "$2" env SYSTEMD_LOG_LEVEL=debug /usr/lib/systemd/systemd-modules-load \\
            /mnt/etc/modules-load.d/50-nodekiln.conf > "$1/said" 2>&1 || :`;
        await inRoot(await rootFolder(suite, console.error), folder, script);
        const said = await readFile(join(folder, 'said'), 'utf8');
        const asked = Array.from(said.matchAll(/Failed to find module '([^']*)'/g), ([, name = '']) => name);
        assert.deepEqual(new Set(asked), new Set(names), said);
      }),
    );
});

/** With a serial number and a name of its own. */
function authority(name: string): string {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '/dev/null'];
  const argv = ['req', '-x509', ...key, '-subj', `/CN=${name}`, '-days', '100'];
  return execFileSync('openssl', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The same with so many letters on a line, as other programs than OpenSSL write it. */
function wrapped(certificate: string, length: number): string {
  const base64 = certificate
    .split('\n')
    .filter((line) => !line.startsWith('-'))
    .join('');
  const lines = base64.match(new RegExp(`.{1,${length}}`, 'g')) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** What RPM systems' p11-kit is built with, and what their update-ca-trust has it write for TLS. */
const trustModule = `module: p11-kit-trust.so
priority: 1
trust-policy: yes
x-trust-lookup: pkcs11:library-description=PKCS%2311%20Kit%20Trust%20Module
x-init-reserved: paths='/etc/pki/ca-trust/source:/usr/share/pki/ca-trust-source'
`;
const extract = `#!/bin/sh
set -e
export P11_KIT_NO_USER_CONFIG=1
exec p11-kit extract --format=pem-bundle --filter=ca-anchors --overwrite --comment --purpose server-auth \\
  /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
`;

describe('authorities', () => {
  const [one, two, three, four, five] = ['one', 'two', 'three', 'four', 'five'].map(authority) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const forms: Readonly<Record<string, { readonly text: string; readonly holds: readonly string[] }>> = {
    'one certificate': { text: one, holds: [one] },
    'without an end of the line': { text: two.trimEnd(), holds: [two] },
    'with text around it': { text: `# Company\nsubject=CN=three\n${three}# end\n`, holds: [three] },
    'with ends of lines of Windows': { text: four.replaceAll('\n', '\r\n'), holds: [four] },
    'with lines of another length': { text: wrapped(five, 76), holds: [five] },
    'several in one': { text: `${one}${two}\n# and\n${three}`, holds: [one, two, three] },
  };
  for (const suite of suites)
    for (const [what, { text, holds }] of Object.entries(forms))
      test(`are trusted by OpenSSL of ${suite}: ${what}`, { timeout: 120_000 }, () =>
        withFolder(async (folder) => {
          const desired = await rendered({
            trust: {
              anchors: [
                { name: 'mine', certificates: text },
                { name: 'z', certificates: one },
              ],
            },
          });
          const action = desired.resources.get('action:trust-anchors');
          assert.ok(action?.kind === 'action' && action.guard.type === 'command');
          await put(desired, '/usr/local/share/ca-certificates/', folder);
          await writeFile(join(folder, 'guard'), action.guard.argv.join(' '));
          for (const [index, certificate] of holds.entries())
            await writeFile(join(folder, `${index}.pem`), certificate);
          const script = `
            mount -t proc proc "$2/proc"
            mount --rbind /dev "$2/dev"
            mkdir "$2/run/upper" "$2/run/work"
            mount -t overlay -o "lowerdir=$2/etc,upperdir=$2/run/upper,workdir=$2/run/work" etc "$2/etc"
            mount --bind "$1/usr/local/share" "$2/usr/local/share"
            chroot "$2" ${action.argv.join(' ')} > "$1/said" 2>&1
            chroot "$2" $(cat "$1/guard") || { cat "$1/said" >&2; exit 9; }
            for file in "$1"/*.pem; do
              chroot "$2" openssl verify -no-CApath -CAfile /etc/ssl/certs/ca-certificates.crt "/mnt/\${file##*/}" >&2
            done`;
          await inRoot(await rootFolder(suite, console.error), folder, script);
        }),
      );

  for (const suite of suites)
    for (const [what, { text, holds }] of Object.entries(forms))
      test(`are trusted by p11-kit of ${suite}, as on RPM systems: ${what}`, { timeout: 300_000 }, () =>
        withFolder(async (folder) => {
          const anchors = [
            { name: 'mine', certificates: text },
            { name: 'z', certificates: one },
          ];
          const desired = await rendered({ trust: { anchors } }, { os: { id: 'fedora', release: '42' } });
          const action = desired.resources.get('action:trust-anchors');
          assert.ok(action?.kind === 'action' && action.guard.type === 'command');
          await put(desired, '/etc/pki/', folder);
          await writeFile(join(folder, 'trust.module'), trustModule);
          await mkdir(join(folder, 'bin'));
          await writeFile(join(folder, 'bin', action.argv[0] ?? ''), extract, { mode: 0o755 });
          for (const [index, certificate] of holds.entries())
            await writeFile(join(folder, `${index}.pem`), certificate);
          const script = `
            mount -t proc proc "$2/proc"
            mkdir "$2/run/upper" "$2/run/work"
            mount -t overlay -o "lowerdir=$2/etc,upperdir=$2/run/upper,workdir=$2/run/work" etc "$2/etc"
            mkdir -p "$2/etc/pkcs11/modules" "$2/etc/pki/ca-trust/extracted/pem"
            cp "$1/trust.module" "$2/etc/pkcs11/modules/p11-kit-trust.module"
            cp -r "$1/etc/pki/." "$2/etc/pki/"
            root=$2; folder=$1; shift 2
            guard() { chroot "$root" "$@"; }
            if guard "$@"; then echo 'done before anything was' >&2; exit 9; fi
            chroot "$root" env PATH=/mnt/bin:/usr/bin ${action.argv.join(' ')} >&2
            guard "$@" || { cat "$root/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem" >&2; exit 9; }
            for file in "$folder"/*.pem; do
              chroot "$root" openssl verify -no-CApath -CAfile /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem \\
                "/mnt/\${file##*/}" >&2
            done
            grep -c 'BEGIN CERT' "$root/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"`;
          const root = await derivedRoot(suite, { packages: ['p11-kit', 'p11-kit-modules'] }, console.error);
          const count = await inRoot(root, folder, script, ...action.guard.argv);
          assert.equal(Number(count), new Set([...holds, one]).size);
        }),
      );
});
