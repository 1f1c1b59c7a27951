/** What a document says of a cluster and of a node's place in it: addresses, tokens, names. */
import { maxLength, refine, regex } from 'zod/mini';
import { areCertificates, isUrl, nodeNameLength, nodeNamePattern } from './cluster-checks.ts';
import { asAddress, contentText, matching, secretText, text } from './schema-builders.ts';

const addressOfApiServer = 'the https address of an API server, like "https://api.example.org:6443"';

/** Credentials go over TLS only, and never in an address: one with a password in it is not shown. */
export const apiServerUrl = asAddress(
  text(addressOfApiServer).check(
    regex(/^https:\/\/[^\s/?#@]+(?:\/[^\s?#@]*)?$/, { error: `must be ${addressOfApiServer}`, abort: true }),
    refine(isUrl, { error: `must be ${addressOfApiServer}` }),
  ),
);

/** Not shown in messages: somebody may have put a key here. */
export const caBundle = contentText().check(refine(areCertificates, { error: 'must be certificates in PEM form' }));

/**
 * A bootstrap token (its id, a dot, its secret), or a signed one (JWT), of a service account or of somebody whom the API
 * server trusts to say who is who.
 */
export const bootstrapToken = secretText().check(
  regex(/^(?:[a-z0-9]{6}\.[a-z0-9]{16}|[\w-]+\.[\w-]+\.[\w-]+)$/, {
    error:
      'must be a bootstrap token, 6 characters, a dot and 16 characters of a-z and 0-9, as `kubeadm token create` prints it, or a signed token (a secret: not shown)',
  }),
);

export const nodeName = matching(
  nodeNamePattern,
  'the name of a node: lower case letters, digits, "-" and ".", like "node-1.example.org"',
).check(maxLength(nodeNameLength, { error: `must be at most ${nodeNameLength} characters long` }));
