/** `node:tty` */
import { now } from '../crossing.ts';

export const isatty = (fd: number): boolean => now<string | undefined>('terminal', fd) !== undefined;
