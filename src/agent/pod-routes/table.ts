/** The routes to other nodes' pods in the host's table: made, changed and taken away, with a mark that there may be some. */
import { changeRoutes, readHostRoutes, type HostRoutes, type WantedRoute } from '../../host/routes.ts';
import type { Host } from '../../host/port.ts';

/** There while there may be routes of ours; as they, gone when the machine starts anew. */
const podRoutesPath = '/run/nodekiln/pod-routes';

type Ways = Pick<Host, 'exec' | 'files'>;

/** What is wanted and nothing else of ours. `now`: what there is. */
export async function putPodRoutes(
  { exec, files }: Ways,
  {
    now,
    wanted,
    signal,
  }: { readonly now: HostRoutes; readonly wanted: readonly WantedRoute[]; readonly signal: AbortSignal },
): Promise<void> {
  const own = new Map(now.routes.flatMap((route) => (route.isOwn ? [[route.subnet.text, route]] : [])));
  const kept = new Set(wanted.map(({ subnet }) => subnet.text));
  const add = wanted.filter(({ subnet }) => !own.has(subnet.text));
  const replace = wanted.filter(({ subnet, gateway, link }) => {
    const route = own.get(subnet.text);
    return route && (route.gateway !== gateway || route.link !== link);
  });
  const remove = [...own.values()].flatMap(({ subnet }) => (kept.has(subnet.text) ? [] : [subnet]));
  if (add.length > 0 && !(await files.stat(podRoutesPath)))
    await files.write([{ type: 'file', path: podRoutesPath, content: new Uint8Array(), mode: 0o600, uid: 0, gid: 0 }]);
  await changeRoutes(exec, { add, replace, remove }, signal);
}

/** Takes away what an agent with routes has left; which they were. */
export async function dropPodRoutes(
  { exec, files }: Ways,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<readonly string[]> {
  if (!(await files.stat(podRoutesPath))) return [];
  const own = (await readHostRoutes(exec)).routes.flatMap(({ isOwn, subnet }) => (isOwn ? [subnet] : []));
  if (!dryRun) {
    await changeRoutes(exec, { add: [], replace: [], remove: own });
    await files.remove([podRoutesPath]);
  }
  return own.map(({ text }) => text);
}
