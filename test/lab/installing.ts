/** Roots of their own, in which the product installs packages with the root's package manager from a server of this machine. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { installActions, type Package } from '../../src/desired/packages.ts';
import type { NodekilnError } from '../../src/errors.ts';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { observeAction, performAction } from '../../src/kinds/action/apply.ts';
import type { PerformContext } from '../../src/kinds/performer.ts';
import type { ActionResource } from '../../src/model/resources.ts';
import { makeKey, type SigningKey } from '../servers/packages.ts';
import { openWeb } from '../support/web.ts';
import { installPrerequisites } from './prerequisites.ts';
import { run } from './run.ts';

/** The folder that packages are published from for the tests of a file; `fill` puts them there, signed by a key. */
export async function publishedFolder(fill: (www: string, key: SigningKey) => Promise<unknown>): Promise<string> {
  const www = await mkdtemp(join(tmpdir(), 'nodekiln-www-'));
  after(() => rm(www, { recursive: true, force: true }));
  before(async () => {
    await installPrerequisites(console.error);
    await fill(www, await makeKey(join(www, 'key'), 'publisher'));
  });
  return www;
}

/** What becomes of a request: a status, other content, an answer of its own, or (undefined) what is asked for. */
export type Trouble = (
  path: string,
) => number | ((bytes: Buffer, response: ServerResponse) => Buffer | undefined) | undefined;

export interface InstallingRoot {
  readonly root: string;
  /** Of the server, which has the files of a folder. */
  readonly url: string;
  trouble: Trouble;
  /** Instead of waiting before a further attempt. */
  onPause: () => Promise<void> | void;
  /** What was said between attempts by the last installation. */
  readonly progress: readonly string[];
  /** Throws what a step would. */
  install(action: ActionResource, signal?: AbortSignal): Promise<void>;
  /** What its guard says. */
  isDone(action: ActionResource): Promise<boolean>;
  close(): Promise<void>;
}

/** A copy of a root that may be changed. */
export async function installingRoot(base: string, www: string): Promise<InstallingRoot> {
  const folder = await mkdtemp('/var/tmp/nodekiln-installing-');
  const root = join(folder, 'root');
  await run(['cp', '--archive', base, root]);
  const host = createLinuxHost({ root });
  const web = await openWeb((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://x').pathname);
    const what = made.trouble(path);
    const file = join(www, path);
    if (typeof what === 'number') return response.writeHead(what).end();
    if (!existsSync(file)) return response.writeHead(404).end();
    const bytes = what ? what(readFileSync(file), response) : readFileSync(file);
    return bytes && response.end(bytes);
  });
  let progress: string[] = [];
  const made: InstallingRoot = {
    root,
    url: web.url,
    trouble: () => undefined,
    onPause: () => undefined,
    get progress() {
      return progress;
    },
    install: async (action, signal) => {
      progress = [];
      const clock = { ...host.clock, sleep: async () => made.onPause() };
      const context = {
        host: { ...host, clock },
        signal,
        progress: (message: string) => void progress.push(message),
        detail: () => undefined,
      } satisfies Partial<PerformContext>;
      await performAction(context as unknown as PerformContext, action);
    },
    isDone: async (action) => (await observeAction(host, action)).done,
    close: async () => {
      web.close();
      await host.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return made;
}

/** What a package manager is asked for. */
export function installAction(
  manager: 'apt' | 'dnf',
  wanted: readonly Package[],
  about: Partial<ActionResource> = {},
): ActionResource {
  const [install] = installActions('tools', manager, wanted);
  assert.ok(install);
  return { ...install, ...about };
}

/** Why an installation failed. */
export async function refused(work: Promise<void>): Promise<NodekilnError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof Error && 'code' in thrown, 'it succeeded');
  return thrown as NodekilnError;
}

/** A connection that ends in the middle of an answer. */
export const cutOff: Trouble = () => (bytes, response) => {
  response.writeHead(200, { 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
  return undefined;
};
