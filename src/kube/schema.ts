/** The schemas of kubeconfigs and of what credential programs print, as far as they are read. Foreign data: unknown keys are no errors. */
import { array, boolean, looseObject, nullish, optional, string, unknown } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { wants } from '../config/schema-checks.ts';

const secret = nullish(string({ error: () => 'must be a string (a secret: not shown)' }));
const word = nullish(string({ error: wants('a string') }));
const map = { error: wants('a map') };

const cluster = looseObject(
  {
    server: word,
    'certificate-authority': word,
    'certificate-authority-data': secret,
    'tls-server-name': word,
    'insecure-skip-tls-verify': nullish(boolean({ error: wants('true or false') })),
    'proxy-url': word,
  },
  map,
);
const user = looseObject(
  {
    token: secret,
    tokenFile: word,
    'client-certificate': word,
    'client-certificate-data': secret,
    'client-key': word,
    'client-key-data': secret,
    username: word,
    exec: optional(unknown()),
    'auth-provider': optional(unknown()),
  },
  map,
);
const context = looseObject({ cluster: word, user: word }, map);

const named = { error: wants('a list') };
export const kubeconfig = looseObject(
  {
    'current-context': word,
    clusters: nullish(array(looseObject({ name: string(), cluster: nullish(cluster) }, map), named)),
    users: nullish(array(looseObject({ name: string(), user: nullish(user) }, map), named)),
    contexts: nullish(array(looseObject({ name: string(), context: nullish(context) }, map), named)),
  },
  map,
);

export type Kubeconfig = Infer<typeof kubeconfig>;
export type KubeconfigCluster = Infer<typeof cluster>;
export type KubeconfigUser = Infer<typeof user>;

/** ExecCredential of client.authentication.k8s.io. */
export const printedCredential = looseObject({
  apiVersion: string(),
  kind: string(),
  status: looseObject({
    token: nullish(string()),
    clientCertificateData: nullish(string()),
    clientKeyData: nullish(string()),
    expirationTimestamp: nullish(string()),
  }),
});

/** What an API server says of itself. */
export const serverVersionSchema = looseObject({
  gitVersion: nullish(string()),
  major: nullish(string()),
  minor: nullish(string()),
});
