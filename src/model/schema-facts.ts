/** The schema of the facts of a host. */
import {
  array,
  boolean,
  enum as oneOf,
  exactOptional,
  literal,
  number,
  object,
  record,
  string,
  union,
  unknown,
} from 'zod/mini';
import type { ZodMiniType } from 'zod/mini';

const text = string({ error: 'must be a string' });
const count = number({ error: 'must be a number' });
const flag = boolean({ error: 'must be true or false' });
const texts = array(text, { error: 'must be a list of strings' });

function map<Shape extends Record<string, ZodMiniType>>(shape: Shape) {
  return object(shape, { error: 'must be a map' });
}

export const facts = map({
  os: map({ id: text, release: text, variant: exactOptional(text) }),
  arch: map({ cpu: text, systemd: text }),
  hostName: text,
  cgroupVersion: union([literal(1), literal(2)], { error: 'must be 1 or 2' }),
  cgroupLayout: exactOptional(oneOf(['unified', 'hybrid', 'legacy'], { error: 'must be unified, hybrid or legacy' })),
  kernelRelease: exactOptional(text),
  kernelModules: exactOptional(texts),
  hasMachineId: exactOptional(flag),
  hasSwap: exactOptional(flag),
  nodeCertificate: exactOptional(text),
  systemdVersion: exactOptional(text),
  containerdVersion: exactOptional(text),
  containerdReads: exactOptional(text),
  containerdConfiguration: exactOptional(
    record(string(), union([record(string(), unknown()), text]), { error: 'must be a map' }),
  ),
  cniPlugins: exactOptional(text),
  podNetworks: exactOptional(texts),
  resolvConf: exactOptional(text),
  raLinks: exactOptional(texts),
  cpus: count,
  memoryBytes: count,
  interfaces: texts,
  cache: record(string(), texts, { error: 'must be a map' }),
});

/** What `nodekiln facts --json` prints around the facts. */
export const printedFacts = object({ kind: literal('Facts'), data: unknown() });
