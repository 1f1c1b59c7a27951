/** Every locked binary: present, a regular file, not empty, executable, a program by its form, of the right digest, printing the right version. */
import { cachedPath, verifyCached, type CacheIndex } from '../../artifacts/cache/cache.ts';
import { programProblem } from '../../artifacts/elf/program.ts';
import type { Host } from '../../host/port.ts';
import type { ImageBinary } from '../../image/image-lock.ts';
import { printsLine, statesProblem } from '../../image/version-output.ts';
import { subjectOf, type Check } from './check.ts';

export interface BinaryOptions {
  readonly index: CacheIndex;
  /** Take files whose seal holds as right, without reading them. */
  readonly trustSeals: boolean;
  /** Of the image; a program for another cannot start there. */
  readonly architecture: string;
}

export async function checkBinary(host: Host, binary: ImageBinary, options: BinaryOptions): Promise<Check[]> {
  const checks: Check[] = [];
  const { path } = binary;
  const subject = subjectOf(checks, 'binaries', path);
  const rest = ['regular', 'not empty', 'executable', 'program', 'digest', 'version'];
  const skip = (from: string, why: string): Check[] => {
    for (const property of rest.slice(rest.indexOf(from))) subject.skip(property, why);
    return checks;
  };
  const stat = await host.files.stat(path);
  if (!subject.judge('present', stat ? undefined : `${path} is missing`) || !stat)
    return skip('regular', 'it is missing');
  if (!subject.judge('regular', stat.type === 'file' ? undefined : `${path} is a ${stat.type}`))
    return skip('not empty', 'it is no file');
  if (!subject.judge('not empty', stat.size > 0 ? undefined : `${path} is empty`))
    return skip('executable', 'it is empty');
  const problem = attributeProblem(stat) ?? (await exposureProblem(host, path));
  const runnable = subject.judge('executable', problem === undefined ? undefined : `${path} ${problem}`);
  const wrongForm = await programProblem(host.files, path, options.architecture);
  subject.judge('program', wrongForm === undefined ? undefined : `${path} ${wrongForm}`);
  const right = subject.judge('digest', await digestProblem(host, binary, options));
  const { states, prints } = binary;
  if (!states && !prints) subject.skip('version', 'it does not say its version');
  else if (!right) subject.skip('version', 'it is not the program that was locked');
  else if (states) {
    const differs = await statesProblem(host.files, path, states);
    subject.judge('version', differs === undefined ? undefined : `${path} ${differs}`);
  } else if (!runnable) subject.skip('version', 'it cannot be run');
  else if (prints) {
    const printed = await printsLine(host.exec, path, prints);
    subject.judge('version', printed === true ? undefined : `${path} ${printed}`);
  }
  return checks;
}

function attributeProblem({ mode, uid }: { mode: number; uid: number }): string | undefined {
  if ((mode & 0o111) !== 0o111) return `has the mode ${mode.toString(8)}: not everybody may run it`;
  if ((mode & 0o6000) !== 0) return `has the mode ${mode.toString(8)}: it would run with the rights of its owner`;
  if ((mode & 0o022) !== 0) return `has the mode ${mode.toString(8)}: others than root may change it`;
  return uid === 0 ? undefined : `belongs to user ${uid}, not to root`;
}

/** Whoever may change a folder on its way may put something else in its place. */
async function exposureProblem({ files }: Host, path: string): Promise<string | undefined> {
  const exposure = await files.exposure(path);
  return exposure && `is not only root’s to replace: ${exposure.path} ${exposure.why}`;
}

async function digestProblem(host: Host, binary: ImageBinary, options: BinaryOptions): Promise<string | undefined> {
  const { path, digest: wanted } = binary;
  const entry = options.index.entries.find(
    ({ tool, key, digest }) => cachedPath(tool, key) === path && digest === wanted,
  );
  if (entry && options.trustSeals) {
    const verified = await verifyCached(host.files, entry);
    return verified.ok ? undefined : verified.why;
  }
  const digest = await host.files.digest(path);
  return digest === wanted ? undefined : `${path} has the digest ${digest}, not ${wanted}`;
}
