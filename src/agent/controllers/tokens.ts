/**
 * Files that are kept equal to values of Secrets: tokens of programs on the host. They are asked for by time, not watched: one
 * watch more for each would be one connection more for each node. A value comes before units that read it start, as far as the
 * API server can be reached; a Secret that is away leaves the file as it is.
 */
import { NodekilnError } from '../../errors.ts';
import { whenAborted } from '../../host/deadline.ts';
import { equalBytes } from '../../model/bytes.ts';
import { secretsIn, type KubeSecret } from '../../kube/secrets.ts';
import type { TokenItem } from '../../config/agent-config.ts';
import type { AgentContext, ControllerBody, Reconciled } from '../controller.ts';
import type { NodeCluster } from '../cluster.ts';

const deadlineMs = 3 * 60_000;

/** Undefined without a cluster, or when there is nothing to sync. */
export function tokens(context: AgentContext): ControllerBody | undefined {
  const { cluster, config, host } = context;
  if (!cluster || config.tokens.length === 0) return undefined;
  return {
    inputs: [
      {
        name: 'identity',
        async *watch(signal) {
          await cluster.identity.available(signal);
          yield;
          await whenAborted(signal);
        },
      },
      // What a document removed may be ours to bring back.
      { name: 'applied', watch: (signal) => context.applied.watch(signal) },
      { name: 'rotation', watch: (signal) => context.tokensErrand.watch(signal) },
    ],
    outputs: config.tokens.map(({ path }) => `file:${path}`),
    resyncMs: config.tokensPeriod,
    deadlineMs,
    reconcile: async ({ signal }): Promise<Reconciled> => {
      const failures: NodekilnError[] = [];
      for (const item of config.tokens) {
        const failure = await sync(host, cluster, { item, signal });
        if (failure) failures.push(failure);
      }
      context.tokensTried.open();
      const [first] = failures;
      if (!first) context.tokensErrand.done();
      return first ? { outcome: 'failed', error: first } : { outcome: 'done' };
    },
  };
}

interface Syncing {
  readonly item: TokenItem;
  readonly signal: AbortSignal;
}

/** Why it could not be; the others are synced all the same. */
async function sync(
  { files }: AgentContext['host'],
  { api }: NodeCluster,
  { item: { secret, key, path, mode }, signal }: Syncing,
): Promise<NodekilnError | undefined> {
  try {
    const [namespace = '', name = ''] = secret.split('/');
    const found = await api.get<KubeSecret>(secretsIn(namespace), name, { signal });
    const value = Object.hasOwn(found?.data ?? {}, key) ? found?.data?.[key] : undefined;
    if (!value || value.isEmpty)
      return new NodekilnError(
        'NK_DOCUMENT_MISSING',
        `${path} is not synced: ${found ? `the Secret ${secret} has no ${key}` : `there is no Secret ${secret}`}`,
        { hint: 'Make it, or leave it out of spec.tokens of the AgentConfig. The file stays as it is.' },
      );
    const content = value.reveal();
    const bits = Number.parseInt(mode, 8);
    const [before, stat] = await Promise.all([files.read(path).catch(() => undefined), files.stat(path)]);
    if (before && equalBytes(before, content) && stat?.type === 'file' && stat.mode === bits) return undefined;
    await files.write([{ type: 'file', path, content, mode: bits, uid: 0, gid: 0 }]);
    return undefined;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return thrown instanceof NodekilnError
      ? thrown
      : new NodekilnError('NK_INTERNAL', `${path} is not synced`, { cause: thrown });
  }
}
