/** Numbers of things, for people. Pure. */

/** `3 files`, `1 file`; `2 binaries` where the plural is given. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}
