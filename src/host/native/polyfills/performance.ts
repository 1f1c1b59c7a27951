/** performance.now(), from when the program began. */
import { about } from '../about.ts';
import { now } from '../crossing.ts';

export const performance = { now: (): number => now<number>('monotonic') - about.startedMs };
