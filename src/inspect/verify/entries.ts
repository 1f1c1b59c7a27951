/** What was brought besides files: links lead where they led, folders keep mode and owner, extensions are those of the image. */
import type { Files } from '../../host/port.ts';
import { findExtensions } from '../../image/extensions.ts';
import type { ImageLock } from '../../image/image-lock.ts';
import { subjectOf, type Check } from './check.ts';

const replaced = 'replaced since, by this node’s own document';

/** `others`: paths that a boot or an agent decided over since. */
export async function checkEntries(files: Files, lock: ImageLock, others: ReadonlySet<string>): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { path, target } of lock.links ?? []) {
    const subject = subjectOf(checks, 'files', path);
    if (others.has(path)) subject.skip('link', replaced);
    else {
      const stat = await files.stat(path);
      const is = stat?.target === undefined ? `is a ${stat?.type}` : `leads to ${stat.target}`;
      const problem = stat ? `${path} ${is}, not to ${target}` : `${path} is missing`;
      subject.judge('link', stat?.target === target ? undefined : problem);
    }
  }
  for (const { path, mode, uid, gid } of lock.folders ?? []) {
    const subject = subjectOf(checks, 'files', path);
    if (others.has(path)) subject.skip('folder', replaced);
    else {
      const stat = await files.stat(path);
      const wanted = `${mode} ${uid}:${gid}`;
      const is = stat && `${stat.mode.toString(8).padStart(4, '0')} ${stat.uid}:${stat.gid}`;
      const problem = stat?.type === 'directory' ? `${path} is ${is}, not ${wanted}` : `${path} is no folder`;
      subject.judge('folder', stat?.type === 'directory' && is === wanted ? undefined : problem);
    }
  }
  return checks;
}

export async function checkExtensions(files: Files, lock: ImageLock, others: ReadonlySet<string>): Promise<Check[]> {
  const checks: Check[] = [];
  // A lock of an earlier nodekiln says nothing of them.
  if (!lock.extensions) return checks;
  const found = new Map((await findExtensions(files)).map((extension) => [extension.path, extension]));
  for (const wanted of lock.extensions) {
    const subject = subjectOf(checks, 'extensions', wanted.path);
    const is = found.get(wanted.path);
    if (others.has(wanted.path)) subject.skip('as locked', replaced);
    else if (!is) subject.fail('as locked', `${wanted.path} is missing`);
    else if (is.target !== wanted.target)
      subject.fail('as locked', `${wanted.path} leads to ${is.target ?? 'nothing else'}, not to ${wanted.target}`);
    else if (is.digest !== wanted.digest)
      subject.fail('as locked', `${wanted.path} has the digest ${is.digest}, not ${wanted.digest}`);
    else {
      // What systemd merges into /usr and /etc is trusted like they are.
      const exposure = await files.exposure(wanted.path);
      subject.judge(
        'as locked',
        exposure && `${wanted.path} is not only root’s to replace: ${exposure.path} ${exposure.why}`,
      );
    }
  }
  const locked = new Set(lock.extensions.map(({ path }) => path));
  const extra = [...found.keys()].filter((path) => !locked.has(path) && !others.has(path));
  subjectOf(checks, 'extensions', 'others').judge('none', extra.length === 0 ? undefined : extra.join(', '));
  return checks;
}
