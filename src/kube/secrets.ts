/** Secrets as an API server gives them: no value of theirs gets further than here without its type. Pure. */
import { isMap } from '../config/paths.ts';
import { SecretValue } from '../model/secret-value.ts';
import type { KubeObject, Resource } from './objects.ts';

export interface KubeSecret extends KubeObject {
  readonly data?: Readonly<Record<string, SecretValue>>;
}

export function secretsIn(namespace: string): Resource {
  return { apiVersion: 'v1', plural: 'secrets', namespace };
}

/** Where `kubectl apply` repeats all that it was given. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** An object of this resource with what is secret of it concealed; values that are no text are none. */
export function concealed<T extends KubeObject>({ plural }: Resource, object: T): T {
  if (plural !== 'secrets') return object;
  const { data, stringData: _repeated, ...rest } = object as T & Readonly<Record<string, unknown>>;
  const { [lastApplied]: _whole, ...annotations } = object.metadata.annotations ?? {};
  const values = Object.entries(isMap(data) ? data : {}).flatMap(([key, value]) =>
    typeof value === 'string' ? [[key, new SecretValue(value)] as const] : [],
  );
  return { ...rest, metadata: { ...object.metadata, annotations }, data: Object.fromEntries(values) } as unknown as T;
}
