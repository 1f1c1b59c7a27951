/**
 * HTTP seen from inside a host, by one process of the machine that lives in the guest's network namespace only: it costs
 * the guest no fork per try, and its clock is the guest's (CLOCK_MONOTONIC).
 */
import { tryRun } from './run.ts';
import type { LabHost } from './lab.ts';

export interface ProbeOptions {
  readonly port: number;
  /** Default `/healthz`. */
  readonly path?: string;
  /** Default 127.0.0.1, which is the guest's own. */
  readonly address?: string;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /** Pause between tries; default 10 ms. */
  readonly intervalMs?: number;
}

export interface ProbeResult {
  /** CLOCK_MONOTONIC in milliseconds when the first answer with status 200 was there. */
  readonly atMs: number;
  readonly body: string;
}

const program = `
const { get } = require('node:http');
const [address, port, path, interval, timeout] = process.argv.slice(1);
const end = performance.now() + Number(timeout);
let last = 'no answer';
function again(said) {
  last = said;
  if (performance.now() < end) return setTimeout(attempt, Number(interval));
  console.error(last);
  process.exit(1);
}
function attempt() {
  let done = false;
  const once = (said) => { if (!done) { done = true; again(said); } };
  const request = get({ host: address, port, path, agent: false, timeout: 2000 }, (answer) => {
    const atMs = Number(process.hrtime.bigint() / 1000n) / 1000;
    let body = '';
    answer.setEncoding('utf8').on('data', (text) => { body += text; });
    answer.on('error', (error) => once(error.message));
    answer.on('end', () => {
      if (answer.statusCode !== 200) return once('status ' + answer.statusCode + ' ' + body);
      process.stdout.write(JSON.stringify({ atMs, body }), () => process.exit(0));
    });
  });
  request.on('timeout', () => request.destroy(new Error('no answer in 2 s')));
  request.on('error', (error) => once(error.message));
}
attempt();`;

/** Waits until a guest's HTTP server answers 200; throws with the last answer at the deadline. */
export async function waitHttp(host: LabHost, options: ProbeOptions): Promise<ProbeResult> {
  const { port, path = '/healthz', address = '127.0.0.1', timeoutMs = 30_000, intervalMs = 10 } = options;
  if (host.pid1 === undefined) throw new Error(`host ${host.name} does not run`);
  const numbers = [String(port), path, String(intervalMs), String(timeoutMs)];
  const namespace = `--net=/proc/${host.pid1}/ns/net`;
  const result = await tryRun(['nsenter', namespace, process.execPath, '--eval', program, '--', address, ...numbers], {
    timeoutMs: timeoutMs + 5_000,
  });
  if (result.status !== 0) {
    const last = result.stderr.trim().split('\n').pop() ?? '';
    throw new Error(
      `host ${host.name}: http://${address}:${port}${path} did not answer 200 in ${timeoutMs} ms: ${last}`,
    );
  }
  // The program above wrote it.
  return JSON.parse(result.stdout) as ProbeResult;
}
