/** A web server of a test's own, on this machine. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Web {
  /** `127.0.0.1:40123` */
  readonly address: string;
  /** `http://127.0.0.1:40123` */
  readonly url: string;
  /** With whatever is still open. */
  close(): void;
}

export async function openWeb(answer: RequestListener): Promise<Web> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { address, url: `http://${address}`, close };
}
