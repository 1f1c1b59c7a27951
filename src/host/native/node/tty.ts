/** `node:tty` */
import { now } from '../crossing.ts';

export const isatty = (fd: number): boolean => now<number | undefined>('terminal', fd) !== undefined;
