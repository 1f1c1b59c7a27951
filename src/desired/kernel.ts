/**
 * Kernel modules and settings: applied now as resources of their own, and by systemd at every later boot. Pure.
 *
 * systemd-modules-load fails as a whole when one module is missing, so only required modules are listed for it; best
 * effort ones are loaded by us. sysctl.d has a mark for settings that may fail.
 */
import type { NodeSpec } from '../config/complete.ts';
import { textFile } from './render-items.ts';
import type { FileResource } from '../model/resources.ts';
import { modulesText, sysctlText } from './systemd-text.ts';

export function kernelFiles({ modules, sysctls }: NodeSpec['kernel']): FileResource[] {
  const required = modules.filter((module) => module.importance === 'required').map((module) => module.name);
  const settings = sysctls.map(({ key, value, importance }) => ({
    key,
    value: String(value),
    mayFail: importance !== 'required',
  }));
  return [
    ...(required.length > 0
      ? [textFile('/etc/modules-load.d/50-nodekiln.conf', modulesText(required), { scope: 'shared' })]
      : []),
    ...(settings.length > 0
      ? [textFile('/etc/sysctl.d/99-nodekiln.conf', sysctlText(settings), { scope: 'shared' })]
      : []),
  ];
}
