/** How long work takes that grows, by the processor’s time. */

/** Milliseconds of the processor, which other work on the machine hardly adds to. */
function processorMs(work: () => unknown): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** So many times as much. */
export const growth = 16;

/** How much longer one large piece of work takes than the small ones that are as much together: 1 in proportion, 16 by the square. */
export function excess(small: () => unknown, large: () => unknown): number {
  const manySmall = (): void => {
    for (let time = 0; time < growth; time++) small();
  };
  manySmall();
  const pairs = Array.from({ length: 3 }, () => processorMs(large) / processorMs(manySmall));
  return Math.min(...pairs);
}
