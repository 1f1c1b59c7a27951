/**
 * Chooses the exact build among the files of a folder: packages by their own metadata, whatever their file is called,
 * extensions by name. Only headers are read. A file that cannot be read is passed over with the reason.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NodekilnError, asNodekilnError, errnoOf } from '../errors.ts';
import type { PackageInfo } from './formats/format.ts';
import { defaultLimits } from './formats/limits.ts';
import { walkArtifact } from './formats/open.ts';
import { architectureFor, matchBuild, extensionCandidate } from './match.ts';
import type { BuildChoice, BuildRequest, Candidate } from './match.ts';

const endings = { deb: '.deb', rpm: '.rpm', sysext: '.raw' } as const;

/** `architecture` in any vocabulary. NK_ARTIFACT_MISSING when there is no such folder. */
export async function matchDirectory(directory: string, request: BuildRequest): Promise<BuildChoice> {
  const candidates: Candidate[] = [];
  const unreadable: { file: string; why: string }[] = [];
  for (const file of await listFolder(directory)) {
    if (!file.endsWith(endings[request.kind])) {
      unreadable.push({ file, why: `is no ${endings[request.kind]} file` });
      continue;
    }
    if (request.kind === 'sysext') {
      candidates.push(extensionCandidate(request.component, file));
      continue;
    }
    try {
      const { name = '', version = '', architecture = '' } = await readPackageInfo(join(directory, file), request.kind);
      candidates.push({ file, name, version, architecture });
    } catch (thrown) {
      unreadable.push({ file, why: asNodekilnError(thrown).message });
    }
  }
  const choice = matchBuild(
    { ...request, architecture: architectureFor(request.kind, request.architecture) },
    candidates,
  );
  return { ...choice, passedOver: [...choice.passedOver, ...unreadable].sort((a, b) => (a.file < b.file ? -1 : 1)) };
}

async function listFolder(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT' && errnoOf(thrown) !== 'ENOTDIR') throw thrown;
    throw new NodekilnError('NK_ARTIFACT_MISSING', `the folder ${directory} does not exist`, {
      cause: thrown,
      resource: directory,
    });
  }
}

class Enough extends Error {}

/** What a package says about itself; reading ends there. */
async function readPackageInfo(path: string, format: 'deb' | 'rpm'): Promise<PackageInfo> {
  let info: PackageInfo | undefined;
  const visitor = {
    package: (stated: PackageInfo): void => {
      info = stated;
      throw new Enough();
    },
    entry: (): Promise<void> => Promise.resolve(),
  };
  try {
    await walkArtifact(
      { source: path, what: path, format, limits: defaultLimits, digest: false, signal: undefined },
      visitor,
    );
  } catch (thrown) {
    if (!(thrown instanceof Enough)) throw thrown;
  }
  return info ?? { format, compression: 'none' };
}
