/**
 * `secret:NAMESPACE/NAME`: the documents in a Secret, followed by one watch of that one object. What a Secret may hold is told
 * in `../secret-form.ts`. Secrets that its documents name for files' content are read beside it, in the same namespace, anew at
 * each reading: they are not watched, their names change with their content.
 *
 * A Secret is written whole, so a reading is whole. One that is deleted, empty, or cannot be read while the API server is away
 * asks for nothing that is known: NK_DOCUMENT_MISSING, or what the API says; what is applied stays.
 */
import { NodekilnError } from '../../errors.ts';
import { orAborted } from '../../host/deadline.ts';
import type { Clock } from '../../host/port.ts';
import { startInformer, type Informer } from '../../kube/informer.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { secretsIn } from '../../kube/secrets.ts';
import { readSecretForm, secretsNamedIn, withSecrets, type Secret } from '../secret-form.ts';
import {
  digestOf,
  type Delivery,
  type DocumentSource,
  type Reading,
  type SourceCluster,
  type SourceContext,
  type SourcedText,
} from './source.ts';

type SecretObject = KubeObject & Secret;

/** `rest`: `NAMESPACE/NAME`. NK_USAGE when it is none, or there is no cluster. */
export function openSecret(rest: string, { host, cluster }: SourceContext): DocumentSource {
  const [namespace = '', name = '', ...more] = rest.split('/');
  const part = /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/;
  if (more.length > 0 || !part.test(namespace) || !part.test(name))
    throw new NodekilnError('NK_USAGE', `secret:${rest} does not name a Secret by its namespace and name`, {
      hint: 'Use --source secret:kube-system/pool-a.',
    });
  if (!cluster)
    throw new NodekilnError('NK_USAGE', `secret:${rest} is a Secret, and no cluster is known to read it from`, {
      hint: 'Give spec.cluster in the AgentConfig, or --kubeconfig.',
    });
  return followSecret(host.clock, cluster, { namespace, name });
}

interface Address {
  readonly namespace: string;
  readonly name: string;
}

function followSecret(clock: Clock, cluster: SourceCluster, { namespace, name }: Address): DocumentSource {
  const { api } = cluster;
  const address = `secret:${namespace}/${name}`;
  const secrets = secretsIn(namespace);
  let informer: Informer<SecretObject> | undefined;
  /** What was made of an object; of another version it is another object. */
  let known: { readonly secret: SecretObject; readonly reading: Reading } | undefined;

  /** As the watch has it; before it has it, as the server says now. */
  const current = async (): Promise<SecretObject | undefined> =>
    informer?.isSynced === true ? informer.objects.get(`${namespace}/${name}`) : api.get<SecretObject>(secrets, name);

  const named = async (texts: readonly SourcedText[]): Promise<readonly SourcedText[]> => {
    const names = await secretsNamedIn(texts);
    if (names.length === 0) return texts;
    const found = await Promise.all(names.map((one) => api.get<SecretObject>(secrets, one)));
    return withSecrets(
      texts,
      found.filter((one) => one !== undefined),
    );
  };

  return {
    address,
    async read(): Promise<Reading> {
      const secret = await current();
      if (!secret)
        throw new NodekilnError('NK_DOCUMENT_MISSING', `the Secret ${namespace}/${name} does not exist`, {
          place: { file: address },
          hint: 'Make it again, or name another one. What is applied stays.',
        });
      if (known?.secret === secret) return known.reading;
      const { texts: own, checksum, serial } = readSecretForm(secret);
      const texts = await named(own);
      const delivery: Delivery = { serial, ...(checksum !== undefined && { checksum }) };
      const reading: Reading = { texts, digest: digestOf(texts), whole: true, delivery };
      // Secrets that it names may have changed by the next reading.
      known = texts === own ? { secret, reading } : undefined;
      return reading;
    },
    async *watch(signal) {
      await cluster.available(signal);
      let told = Promise.withResolvers<void>();
      let changed = true;
      const following = startInformer<SecretObject>({
        api,
        clock,
        resource: secrets,
        fieldSelector: `metadata.name=${name}`,
        signal,
        onChange: () => {
          changed = true;
          told.resolve();
        },
        ...(cluster.doubt && { doubt: cluster.doubt }),
        onPutBack: () => cluster.onPutBack?.(),
        ...(cluster.onTrouble && { onTrouble: (trouble: unknown) => cluster.onTrouble?.(trouble) }),
      });
      informer = following;
      try {
        await following.synced;
        while (!signal.aborted) {
          if (changed) {
            changed = false;
            told = Promise.withResolvers();
            yield;
          } else await Promise.race([orAborted(signal, told.promise), following.done]);
        }
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      } finally {
        informer = undefined;
      }
    },
  };
}
