/**
 * The port `Host`: every effect on a machine goes through one of these objects, so that the same plan applies to a
 * running machine, to a root folder at image-build time and to memory. Implementations: `linux/` and `memory/`;
 * `test/conformance` holds the expectations both must meet. One file per contract in `port/`.
 *
 * Units of measure: milliseconds, bytes, mode bits as numbers (0o644), absolute paths as seen inside the host
 * (`/etc/…` even when the host is a root folder). Times of systemd stay in its microseconds where the name says `Usec`.
 */
export * from './port/archives.ts';
export * from './port/clock.ts';
export * from './port/containers.ts';
export * from './port/databases.ts';
export * from './port/exec.ts';
export * from './port/files.ts';
export * from './port/host.ts';
export * from './port/locks.ts';
export * from './port/net.ts';
export * from './port/program.ts';
export * from './port/signatures.ts';
export * from './port/units.ts';
