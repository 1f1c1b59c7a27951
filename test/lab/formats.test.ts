/**
 * What is written for other programs is what they read: values that chance picks, written by us, read back by systemd (252 and
 * 257), systemd-sysctl, containerd and kubectl themselves.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parse } from 'smol-toml';
import { hostsText, registryFolder, registryFolderOf } from '../../src/desired/containerd.ts';
import { exampleFacts } from '../../src/model/facts.ts';
import { stable, stableJson, yamlScalar } from '../../src/desired/stable.ts';
import { environmentFile, environmentLine, execStart, sysctlText, unitText } from '../../src/desired/systemd-text.ts';
import { tomlText } from '../../src/desired/toml.ts';
import { createChance, type Chance } from '../support/chance.ts';
import { containerdPackages, containerds } from './containerds.ts';
import { inRoot, withFolder } from './in-root.ts';
import { artifacts } from './packages.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot, rootFolder } from './root.ts';
import { run } from './run.ts';

const suites = ['bookworm', 'trixie'] as const;

/** What has a meaning to one of the readers, and what has none. */
const printable = [
  'a',
  'B7',
  'é',
  '😀',
  ' ',
  '  ',
  '\t',
  '-',
  '--',
  '@',
  '!',
  '|',
  '+',
  '*',
  '~',
  '`',
  '^',
  '=',
  ':',
  ': ',
  ',',
  '.',
  '/',
  '"',
  "'",
  '\\',
  '\\n',
  '\\x41',
  '\\u0041',
  '%',
  '%n',
  '%%',
  '%H',
  '$',
  '$$',
  '$HOME',
  '${HOME}',
  '$(a)',
  '{{',
  '}}',
  ';',
  ' ; ',
  '#',
  ' # ',
  '[',
  ']',
  '<',
  '>',
  '&',
  '?',
  '\u2028',
  '\u00a0',
  'null',
  'true',
  '1e3',
  '\ufeff',
] as const;
const control = [
  '\n',
  '\r',
  '\r\n',
  '\n[Service]\nUser=a\n',
  '\u0001',
  '\u0007',
  '\v',
  '\f',
  '\u001b[31m',
  '\u007f',
  '\u0085',
  '\u009b',
] as const;
const anything = [...printable, ...control] as const;

function textOf(chance: Chance, pieces: readonly [string, ...string[]]): string {
  return Array.from({ length: Math.floor(chance.next() * 7) }, () => chance.pick(pieces)).join('');
}

function textsOf(chance: Chance, pieces: readonly [string, ...string[]], length: number): string[] {
  return Array.from({ length }, () => textOf(chance, pieces));
}

before(() => installPrerequisites(console.error), { timeout: 300_000 });

/** As a user's manager, which needs neither to be the first process nor a machine of its own. */
const manager = `
  mkdir -p "$2/run/systemd/system" "$2/run/user"
  mount -t proc proc "$2/proc"
  mount --rbind /sys "$2/sys"
  mount --rbind /dev "$2/dev"
  chroot "$2" env -i XDG_RUNTIME_DIR=/run/user SYSTEMD_UNIT_PATH=/mnt/units /usr/lib/systemd/systemd --user --unit=all.target \\
    > "$1/log" 2>&1 < /dev/null &
  for i in $(seq 600); do
    [ "$(ls "$1/out" | wc -l)" -lt "$3" ] || exit 0
    sleep 0.1
  done
  tail -20 "$1/log" >&2
  exit 1`;

interface Service {
  readonly words: readonly string[];
  readonly inUnit: Readonly<Record<string, string>>;
  readonly inFile: Readonly<Record<string, string>>;
}

/** Its own words and variables, for whoever asks. */
const told = `#!/bin/sh
cat /proc/$$/cmdline > "/mnt/$SELF.cmdline" && cat /proc/$$/environ > "/mnt/$SELF.environ" && : > "/mnt/out/$SELF"
`;

for (const suite of suites)
  test(
    `words and variables of a unit are those that ${suite}’s systemd gives a program`,
    { timeout: 600_000 },
    async (t) => {
      const chance = createChance(t);
      const program = '/mnt/a pro%gram;é';
      const services: Service[] = Array.from({ length: 60 }, () => {
        const [A = '', B = '', C = '', D = ''] = textsOf(chance, anything, 4);
        return { words: textsOf(chance, anything, 5), inUnit: { A, B }, inFile: { C, D } };
      });
      await withFolder(async (folder) => {
        await Promise.all(['units', 'out'].map((name) => mkdir(join(folder, name))));
        await writeFile(join(folder, program.slice('/mnt/'.length)), told, { mode: 0o755 });
        for (const [index, { words, inUnit, inFile }] of services.entries()) {
          await writeFile(join(folder, `${index}.env`), environmentFile(inFile));
          const text = unitText({
            Unit: ['DefaultDependencies=no'],
            Service: [
              'Type=oneshot',
              ...Object.entries({ ...inUnit, SELF: String(index) }).map(([name, value]) =>
                environmentLine(name, value),
              ),
              `EnvironmentFile=/mnt/${index}.env`,
              execStart([program, ...words]),
            ],
          });
          await writeFile(join(folder, 'units', `${index}.service`), text);
        }
        const wants = services.map((_, index) => `Wants=${index}.service`);
        await writeFile(join(folder, 'units', 'all.target'), unitText({ Unit: ['DefaultDependencies=no', ...wants] }));
        await inRoot(await rootFolder(suite, console.error), folder, manager, String(services.length));
        for (const [index, { words, inUnit, inFile }] of services.entries()) {
          const read = async (name: string): Promise<string[]> =>
            (await readFile(join(folder, `${index}.${name}`), 'utf8')).split('\0').slice(0, -1);
          const [, path, ...given] = await read('cmdline');
          const environment = await read('environ');
          const variables = Object.entries({ ...inUnit, ...inFile }).map(([name, value]) => `${name}=${value}`);
          assert.deepEqual({ path, given }, { path: program, given: words });
          assert.deepEqual(
            variables.filter((variable) => !environment.includes(variable)),
            [],
          );
        }
      });
    },
  );

for (const suite of suites)
  test(`settings are those that ${suite}’s systemd-sysctl writes`, { timeout: 300_000 }, async (t) => {
    const chance = createChance(t);
    const settings = Array.from({ length: 200 }, (_, index) => ({
      key: index % 2 === 0 ? `kernel.fuzz.k${index}` : `kernel/fuzz/k${index}`,
      value: textOf(chance, printable),
      mayFail: index % 3 === 0,
    }));
    await withFolder(async (folder) => {
      await writeFile(join(folder, 'a.conf'), sysctlText(settings));
      const script = `
        mount -t tmpfs proc "$2/proc"
        mkdir -p "$2/proc/sys/kernel/fuzz"
        for i in $(seq 0 199); do : > "$2/proc/sys/kernel/fuzz/k$i"; done
        chroot "$2" /usr/lib/systemd/systemd-sysctl /mnt/a.conf >&2
        cp -r "$2/proc/sys/kernel/fuzz" "$1/read"`;
      await inRoot(await rootFolder(suite, console.error), folder, script);
      for (const [index, { value }] of settings.entries()) {
        const read = await readFile(join(folder, 'read', `k${index}`), 'utf8');
        const blanks = /^[ \t]+|[ \t\n]+$/g;
        assert.equal(read.replaceAll(blanks, ''), value.replaceAll(blanks, ''), JSON.stringify(value));
      }
    });
  });

for (const suite of suites)
  test(`a configuration is what ${suite}’s containerd reads`, { timeout: 600_000 }, async (t) => {
    const chance = createChance(t);
    const runtimes = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [
        `r${index}${textOf(chance, anything).replaceAll(/[^\p{L}\p{N} '.%$#;:@]/gu, '')}`,
        { runtime_type: textOf(chance, anything), pod_annotations: textsOf(chance, anything, 4) },
      ]),
    );
    const cri = 'io.containerd.grpc.v1.cri';
    await withFolder(async (folder) => {
      const document = { version: 2, plugins: { [cri]: { containerd: { runtimes } } } };
      await writeFile(join(folder, 'config.toml'), tomlText(stable(document)));
      const root = await derivedRoot(suite, { packages: containerdPackages }, console.error);
      const script = 'mount -t proc proc "$2/proc"; chroot "$2" containerd --config /mnt/config.toml config dump';
      // Its own writer leaves DEL as it is, which no reader of TOML takes.
      const dumped: unknown = parse((await inRoot(root, folder, script)).replaceAll('\u007f', String.raw`\u007f`));
      const read = (dumped as typeof document).plugins[cri].containerd.runtimes;
      for (const [name, { runtime_type, pod_annotations }] of Object.entries(runtimes))
        assert.deepEqual([read[name]?.runtime_type, read[name]?.pod_annotations], [runtime_type, pod_annotations]);
    });
  });

const quietContainerd = `version = 2
root = "/run/c/root"
state = "/run/c/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "/run/c/socket"
`;

/** containerd asks for an image as the folder `certs.d` tells it. */
const pull = `
  mkdir -p "$2/run/c"
  mount -t proc proc "$2/proc"
  mount --rbind /dev "$2/dev"
  chroot "$2" containerd --config /mnt/config.toml > "$1/log" 2>&1 &
  for i in $(seq 200); do
    chroot "$2" ctr --address /run/c/socket version > "$1/version" 2>&1 && break
    sleep 0.1
  done
  chroot "$2" ctr --address /run/c/socket images pull --hosts-dir /mnt/certs.d "$3" >&2 || true`;

/** A server of nothing, which tells who is asked. */
async function emptyServer(host: string, asked: (port: number) => void): Promise<{ port: number; server: Server }> {
  const server = createServer((_request, response) => {
    asked((server.address() as AddressInfo).port);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, host, resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

for (const containerd of containerds)
  for (const named of ['registry.example', 'localhost', '127.0.0.1:5000', '[::1]', '[fd00::1]:5000'])
    test(`mirrors by IPv6 of ${named} are asked in their order by containerd ${containerd.line}`, async () => {
      const ports: number[] = [];
      const asked = (port: number): void => void (ports.includes(port) || ports.push(port));
      const servers = await Promise.all(['::1', '::1', '127.0.0.1', '::1'].map((host) => emptyServer(host, asked)));
      const [a = 0, b = 0, c = 0, last = 0] = servers.map(({ port }) => port);
      const urls = [`http://[::1]:${a}`, `http://[::1]:${b}`, `http://127.0.0.1:${c}`];
      const hosts = urls.map((url) => ({
        url,
        capabilities: ['pull', 'resolve'],
        overridePath: false,
        ca: undefined,
        skipVerify: false,
      }));
      try {
        await withFolder(async (folder) => {
          const { root, version, prepare } = await containerd.made(console.error);
          const own = join(folder, registryFolderOf(named).replace(registryFolder, 'certs.d'));
          await mkdir(own, { recursive: true });
          const facts = { ...exampleFacts, containerdVersion: version };
          await writeFile(join(own, 'hosts.toml'), hostsText({ server: `http://[::1]:${last}`, hosts }, facts));
          await writeFile(join(folder, 'config.toml'), quietContainerd);
          await inRoot(root, folder, `${prepare}${pull}`, `${named}/a/b:1`);
          assert.deepEqual(ports, [a, b, c, last]);
        });
      } finally {
        for (const { server } of servers) server.close();
      }
    });

test('a kubeconfig is what kubectl reads', { timeout: 600_000 }, async (t) => {
  const chance = createChance(t);
  const { dir, kubectl } = await artifacts(console.error);
  await withFolder(async (folder) => {
    await run(['dpkg-deb', '--extract', join(dir, kubectl.trixie.file), folder]);
    const view = async (text: string): Promise<{ users: { user: Record<string, unknown> }[] }> => {
      await writeFile(join(folder, 'config'), text);
      const argv = ['config', 'view', '--raw', '--output=json', `--kubeconfig=${folder}/config`];
      const { stdout } = await run([join(folder, kubectl.trixie.member), ...argv]);
      return JSON.parse(stdout) as { users: { user: Record<string, unknown> }[] };
    };
    const users = Array.from({ length: 200 }, (_, index) => {
      const env = textsOf(chance, anything, 3).map((value) => ({ name: 'A', value: `v${value}` }));
      return {
        name: `u${String(index).padStart(3, '0')}`,
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: '/a',
            args: textsOf(chance, anything, 4),
            env,
          },
        },
      };
    });
    const read = await view(stableJson({ apiVersion: 'v1', kind: 'Config', users }));
    for (const [index, { user }] of users.entries()) {
      const told = read.users[index]?.user['exec'] as { args: unknown; env: unknown } | undefined;
      assert.deepEqual([told?.args, told?.env], [user.exec.args, user.exec.env]);
    }
    const paths = textsOf(chance, printable, 200).map((text) => `/a/${text}`);
    const inBlocks = ['apiVersion: v1', 'kind: Config', 'users:'];
    for (const [index, path] of paths.entries())
      inBlocks.push(`- name: u${String(index).padStart(3, '0')}`, '  user:', `    tokenFile: ${yamlScalar(path)}`);
    const { users: blocks } = await view(`${inBlocks.join('\n')}\n`);
    assert.deepEqual(
      blocks.map(({ user }) => user['tokenFile']),
      paths,
    );
  });
});
