/** The machine a verb runs on, for verbs about files of its own. */
import type { Host } from '../host/port.ts';

/** Lets `use` work with the machine, and releases it. */
export async function onThisMachine<Result>(use: (host: Host) => Promise<Result>): Promise<Result> {
  const { createLinuxHost } = await import('../host/linux/host.ts');
  const host = createLinuxHost();
  try {
    return await use(host);
  } finally {
    await host.close();
  }
}
