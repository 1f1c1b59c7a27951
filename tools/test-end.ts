/**
 * Loaded before every test file: a process whose tests have all ended, and that something they left open still keeps alive
 * (a watch, a socket, a timer: of a test that timed out, before all), says what and ends. The runner itself would wait for
 * it for ever.
 */
import { after } from 'node:test';

/** What the file itself tidies up after its tests takes less. */
const graceMs = Number(process.env['NODEKILN_TEST_END_MS'] ?? 60_000);

after(() => {
  setTimeout(() => {
    const open = [...new Set(process.getActiveResourcesInfo())].join(', ');
    process.stderr.write(`\n${process.argv[1]}: its tests have ended and left open: ${open}\n`);
    process.exit(1);
  }, graceMs).unref();
});
