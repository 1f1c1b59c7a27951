/**
 * Planning of `kernel` resources: modules and sysctls of the running kernel. What survives a reboot are files
 * (`modules-load.d`, `sysctl.d`) that rendering adds beside them. A setting nobody asks for any more stays until the next
 * start: the kernel does not know what it was before us.
 */
import type { Step } from '../../model/steps.ts';
import { releaseStep } from '../file/plan.ts';
import { readByNobody, stepBase, type KindPlanner } from '../planner.ts';

export const kernelPlanner: KindPlanner<'kernel'> = {
  compare({ resource, observed }) {
    const { setting } = resource;
    if (setting.type === 'module') {
      return observed.value === undefined
        ? { facets: ['presence'], details: [`module ${setting.name} is not loaded`] }
        : undefined;
    }
    // As the kernel says it, a line end is behind it and tabs are between its parts.
    const [present, wanted] = [normalise(observed.value), normalise(setting.value)];
    if (present === wanted) return undefined;
    return {
      facets: ['content'],
      details: [`${setting.key} is ${present === undefined ? 'unknown' : present || 'empty'}, wanted ${wanted}`],
    };
  },
  absent({ setting }, { kernelModules = [] }) {
    const loaded = setting.type === 'module' && kernelModules.includes(setting.name);
    return { kind: 'kernel', value: loaded ? 'loaded' : undefined };
  },
  reads: () => [],
  ...readByNobody,
  steps: (change, resource) => {
    const { setting } = resource;
    const base = { ...stepBase(resource), reads: [], needs: [], why: change.details.join(', ') };
    return setting.type === 'module'
      ? [
          {
            ...base,
            id: `load ${resource.id}`,
            action: { do: 'module', name: setting.name },
            writes: [`module:${setting.name}`],
            weightMs: 10,
          },
        ]
      : [
          {
            ...base,
            id: `set ${resource.id}`,
            action: { do: 'sysctl', key: setting.key, value: setting.value },
            writes: [`sysctl:${setting.key}`],
            weightMs: 1,
          },
        ];
  },
  removal: (touched) => [releaseStep(touched)],
  together: ({ steps, changes }) => (changes.length === 0 ? steps : settingsAfterModules(steps)),
};

/** Many settings are there only once their module is. */
function settingsAfterModules(steps: readonly Step[]): readonly Step[] {
  const modules = steps.filter(({ action }) => action.do === 'module').map(({ id }) => id);
  if (modules.length === 0) return steps;
  // One list for all: what waits for the same many shares it.
  return steps.map((step) => (step.action.do === 'sysctl' ? { ...step, after: modules } : step));
}

/** The kernel separates the numbers of a vector by tabs; people write spaces. */
export function normalise(value: string | undefined): string | undefined {
  return value?.trim().split(/\s+/).join(' ');
}
