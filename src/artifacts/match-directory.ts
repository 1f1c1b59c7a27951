/**
 * Chooses the exact build among the files of a folder: packages by their own metadata, whatever their file is called,
 * extensions by name. Only headers are read. A file that cannot be read is passed over with the reason.
 */
import { NodekilnError, asNodekilnError } from '../errors.ts';
import { join } from '../model/path.ts';
import type { PackageInfo } from './formats/format.ts';
import { defaultLimits } from './formats/limits.ts';
import { withPackage } from './formats/open.ts';
import type { PackageHost } from './formats/open.ts';
import { architectureFor, matchBuild, extensionCandidate } from './match.ts';
import type { BuildChoice, BuildRequest, Candidate } from './match.ts';

const endings = { deb: '.deb', rpm: '.rpm', sysext: '.raw' } as const;

/** `architecture` in any vocabulary. NK_ARTIFACT_MISSING when there is no such folder. */
export async function matchDirectory(
  host: PackageHost,
  directory: string,
  request: BuildRequest,
): Promise<BuildChoice> {
  const candidates: Candidate[] = [];
  const unreadable: { file: string; why: string }[] = [];
  for (const file of await listFolder(host, directory)) {
    if (!file.endsWith(endings[request.kind])) {
      unreadable.push({ file, why: `is no ${endings[request.kind]} file` });
      continue;
    }
    if (request.kind === 'sysext') {
      candidates.push(extensionCandidate(request.component, file));
      continue;
    }
    try {
      const {
        name = '',
        version = '',
        architecture = '',
      } = await readPackageInfo(host, join(directory, file), request.kind);
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

async function listFolder({ local }: PackageHost, directory: string): Promise<string[]> {
  const names = await local.list(directory);
  if (names.length > 0 || (await isFolder(local, directory))) return names;
  throw new NodekilnError('NK_ARTIFACT_MISSING', `the folder ${directory} does not exist`, { resource: directory });
}

/** An empty one and a missing one list alike; a link to a folder is one. */
async function isFolder(local: PackageHost['local'], directory: string): Promise<boolean> {
  return (await local.stat(`${directory}/.`))?.type === 'directory';
}

/** What a package says about itself; only its headers are read. */
function readPackageInfo(host: PackageHost, path: string, format: 'deb' | 'rpm'): Promise<PackageInfo> {
  return withPackage(host, { path, what: path, format, limits: defaultLimits }, ({ info }) => Promise.resolve(info));
}
