/**
 * The machine we run on, or a root folder of one: `createLinuxHost()` and `createLinuxHost({root: '/srv/image'})`.
 * Nothing is opened before it is used; `close` releases the connection to systemd.
 */
import { realpathSync, statSync } from 'node:fs';
import { nodeDisk } from '../../disk/node-disk.ts';
import { createPathResolver } from '../../disk/resolve.ts';
import { errnoOf, NodekilnError, whyRefused } from '../../errors.ts';
import type { Containers, Exec, Host } from '../port.ts';
import { program } from '../program.ts';
import { createOfflineUnits } from '../unit-files/offline-units.ts';
import { createLinuxArchives } from './archives/archives.ts';
import { createLinuxClock } from './clock.ts';
import { createLinuxDatabases } from './databases.ts';
import { createLinuxExec } from './exec.ts';
import { createLinuxFiles } from './files.ts';
import { createLinuxLocks } from './locks.ts';
import { createLinuxNet } from './net/net.ts';
import { createSignatures } from './signatures.ts';
import type { SystemdAddress } from './systemd-connection.ts';
import { createLiveUnits } from './units.ts';

export interface LinuxHostOptions {
  /** Where the host's `/` is; the machine itself unless told. Must exist. */
  readonly root?: string;
  /** Which way to systemd; `auto` is its private socket, and the system bus for those it does not let in. */
  readonly systemd?: SystemdAddress;
  /** Who imports container images into the host; refused unless given. */
  readonly containers?: (host: Omit<Host, 'containers'>) => Containers & { readonly close?: () => Promise<void> };
}

export function createLinuxHost(options: LinuxHostOptions = {}): Host {
  const root = realRoot(options.root ?? '/');
  const files = createLinuxFiles(root);
  const exec = root === '/' ? createLinuxExec() : lazyRootExec(root);
  const { units, close } =
    root === '/'
      ? createLiveUnits({ exec, address: options.systemd ?? 'auto' })
      : { units: createOfflineUnits(files, root), close: () => Promise.resolve() };
  const local = root === '/' ? files : createLinuxFiles('/');
  const net = createLinuxNet();
  const clock = createLinuxClock();
  const databases = createLinuxDatabases(createPathResolver(nodeDisk, root));
  const locks = createLinuxLocks({ root, files, databases, clock, program });
  const host = {
    root,
    files,
    local,
    databases,
    locks,
    units,
    exec,
    localExec: root === '/' ? exec : createLinuxExec(),
    clock,
    net,
    archives: createLinuxArchives(),
    signatures: createSignatures(),
    program,
    close,
  };
  const containers = options.containers?.(host) ?? noContainers;
  return {
    ...host,
    containers,
    close: async () => {
      await containers.close?.();
      net.close();
      await close();
    },
  };
}

/** Boots and agents never need it. */
function lazyRootExec(root: string): Exec {
  return {
    run: async (argv, options) => (await import('./root-exec.ts')).createRootExec(root).run(argv, options),
  };
}

const noContainers: Containers & { close?: () => Promise<void> } = {
  importArchive: (archive) =>
    Promise.reject(new NodekilnError('NK_UNSUPPORTED', `nothing here can import the container image ${archive}`)),
  list: () => Promise.reject(new NodekilnError('NK_UNSUPPORTED', 'nothing here can list container images')),
};

function realRoot(root: string): string {
  const refuse = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_USAGE', `the root folder ${root} cannot be used: ${why}`, {
      cause,
      hint: 'Give the folder that holds the root of the image.',
    });
  try {
    const real = realpathSync(root);
    if (!statSync(real).isDirectory()) throw refuse('it is no folder');
    return real;
  } catch (thrown) {
    if (thrown instanceof NodekilnError) throw thrown;
    throw refuse(errnoOf(thrown) === 'ENOENT' ? 'there is no such folder' : whyRefused(thrown), thrown);
  }
}
