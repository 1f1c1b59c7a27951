/** Units are enabled, disabled and masked exactly as locked; nothing else starts at boot. */
import type { Host } from '../../host/port.ts';
import type { ImageLock } from '../../image/image-lock.ts';
import { enabledUnits, maskedUnits } from '../../image/units.ts';
import { subjectOf, type Check } from './check.ts';

/** `others`: units that a boot or an agent decided over since; only on a running machine. */
export async function checkUnits(host: Host, lock: ImageLock, others: ReadonlySet<string>): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { name, state: wanted } of lock.units) {
    const subject = subjectOf(checks, 'units', name);
    if (others.has(name)) {
      subject.skip(wanted, 'configured since, by this node’s own document');
      continue;
    }
    const state = await host.units.enablement(name);
    subject.judge(wanted, state === wanted ? undefined : `${name} is ${state === '' ? 'gone' : state}, not ${wanted}`);
  }
  const known = new Set([...lock.units.map(({ name }) => name), ...others]);
  const unlisted = async (names: Promise<string[]>, word: string): Promise<void> => {
    const extra = (await names).filter((name) => !known.has(name));
    const subject = subjectOf(checks, 'units', 'others');
    subject.judge(`none ${word}`, extra.length === 0 ? undefined : `${extra.join(', ')} ${word}`);
  };
  await unlisted(enabledUnits(host.files), 'enabled');
  await unlisted(maskedUnits(host.files), 'masked');
  return checks;
}
