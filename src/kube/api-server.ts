/**
 * Asks an API server for its version: GET /version, 64 KiB at most.
 *
 * Errors: NK_TIMEOUT after the deadline; NK_CLUSTER_UNREACHABLE, NK_CLUSTER_AUTHORITY, NK_CLUSTER_CERTIFICATE or
 * NK_CLUSTER_CLOCK when there is no answer; NK_SOURCE_UNAVAILABLE for everything else that goes wrong. What the server
 * answered is not quoted, and credentials never appear.
 */
import type { HttpResponse } from '../host/port.ts';
import { isMinorOfVersion } from '../model/minor.ts';
import { unusableServer } from './client.ts';
import type { KubeClient } from './client.ts';
import { serverVersionSchema } from './schema.ts';

const maxBytes = 64 * 1024;

/** `v1.31.1+k3s1`, as the server says it. */
export async function serverVersion(client: KubeClient, timeoutMs: number): Promise<string> {
  const response = await client.ask({ path: '/version', timeoutMs, maxBytes });
  const { version, problem } = versionIn(response);
  if (version === undefined) throw unusableServer(client.where, problem);
  return version;
}

type Reading =
  | { readonly version: string; readonly problem?: never }
  | { readonly version?: never; readonly problem: string };

function versionIn({ status, body }: HttpResponse): Reading {
  if (status === 401 || status === 403) return { problem: `does not accept the credentials (status ${status})` };
  if (status !== 200) return { problem: `answered with status ${status}` };
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return { problem: 'answered with what is not JSON' };
  }
  const { data } = serverVersionSchema.safeParse(value);
  const version = data?.gitVersion ?? `${data?.major ?? ''}.${data?.minor ?? ''}`;
  return isMinorOfVersion(version) ? { version } : { problem: 'answered without a version' };
}
