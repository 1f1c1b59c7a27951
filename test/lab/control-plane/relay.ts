/**
 * Passes connections to a Unix socket on to an address in the network namespace that this program was started in:
 * `relay.ts SOCKET ADDRESS PORT`. TLS goes through untouched, so that whoever connects is who its credentials say. Prints
 * a line when it listens.
 */
import { connect, createServer } from 'node:net';

const [socket, address, port] = process.argv.slice(2);
if (socket === undefined || address === undefined || port === undefined)
  throw new Error('usage: relay.ts SOCKET ADDRESS PORT');

createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ host: address, port: Number(port), allowHalfOpen: true });
  near.pipe(far).pipe(near);
  // A broken connection is broken at both ends.
  near.on('error', () => far.destroy()).on('close', () => far.destroy());
  far.on('error', () => near.destroy()).on('close', () => near.destroy());
}).listen(socket, () => console.log('listening'));
