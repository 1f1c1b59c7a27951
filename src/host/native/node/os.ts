/** Of `node:os` what the shared sources use. */
import { about } from '../about.ts';
import { now } from '../crossing.ts';

export const constants = {
  signals: new Proxy({}, { get: (_, name) => now<number>('signalNumber', String(name)) }),
};
export const getPriority = (): number => now('priority');
export const tmpdir = (): string => about.environment['TMPDIR'] ?? '/tmp';
export const availableParallelism = (): number => about.processors;
export const homedir = (): string => about.environment['HOME'] ?? '/root';
