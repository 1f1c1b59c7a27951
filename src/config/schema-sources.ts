/**
 * Where artifacts come from, as documents say it: forms, transports, repositories and their keys, signatures, transfers.
 * Shared by the sources of a NodeConfig and the builds of an ImageManifest. Paths, URLs and references may hold named
 * placeholders (`template.ts`).
 */
import { discriminatedUnion, literal, refine, union } from 'zod/mini';
import type { infer as Infer, ZodMiniType } from 'zod/mini';
import {
  absolutePath,
  addressTemplate,
  asAddress,
  digest,
  doc,
  fields,
  flag,
  keyText,
  list,
  name,
  oneOf,
  opt,
  registryHost,
  secretText,
  template,
  text,
  timespan,
  url,
  versionText,
  withoutProxy,
} from './schema-builders.ts';
import { wants, wantsOneOf, wantsSecret } from './schema-checks.ts';
import { isProxy } from './cluster-checks.ts';

/** The forms a binary comes in. */
export const form = oneOf('deb', 'rpm', 'tarball', 'file');
const since = opt('The first version that is published there; earlier ones are looked for elsewhere.', versionText);
export const plainHttp = opt('Speak plain HTTP with the registry. Default: false.', flag());
const packageMember = opt(
  'Path inside the package. Default: where packages usually keep the program.',
  template('a path'),
);

/** cosign's ways of signing. */
export const signature = union(
  [
    fields({ key: doc('Path of the public key, or the key in PEM form.', keyText()) }),
    fields({
      trustedRoot: doc('Path of the trusted root (JSON) that certificates must lead to.', text()),
      identity: doc('The signer’s identity in the certificate; a regular expression between slashes.', text()),
      issuer: doc('Who vouched for the identity, a URL.', asAddress(text())),
    }),
  ],
  { error: wants('a map with key, or with trustedRoot, identity and issuer') },
);

const httpProxy = 'a URL like "http://proxy.example.org:3128"';

export const transfer = fields({
  budget: opt('For one artifact, retries included. Default: 5m.', timespan),
  caFile: opt('Path of certificates trusted instead of the machine’s.', absolutePath),
  proxy: opt(
    'HTTP proxy, `http://proxy.example:3128` or `proxy.example:3128` (may hold a password: not shown).',
    asAddress(secretText(httpProxy).check(refine(isProxy, { error: wantsSecret(httpProxy) }))),
  ),
  noProxy: opt('Hosts, domains and subnets reached directly, as in `NO_PROXY`.', list(withoutProxy)),
  mirrors: opt(
    'Servers asked before a registry that OCI artifacts come from, in order.',
    list(
      fields({
        host: doc('The registry as it stands in references; `_default` for all.', registryHost),
        url: doc('The mirror. Plain HTTP only when it says so.', url),
        overridePath: opt('The URL already names the API’s root, so /v2 is not appended. Default: false.', flag()),
      }),
    ),
  ),
});

/** A package repository, whose metadata must be signed. */
function packageRepositories<More extends Record<string, ZodMiniType>>(more: More) {
  return [
    fields({
      ...more,
      type: doc('An apt repository.', literal('apt')),
      url: doc('URL of the repository.', addressTemplate('url')),
      suite: doc('Suite or codename, `noble`; ends in "/" for a flat repository.', template('a suite')),
      components: opt('Default: main.', list(text())),
      signedBy: doc('Path of a keyring, or armoured keys.', keyText()),
    }),
    fields({
      ...more,
      type: doc('A dnf repository.', literal('dnf')),
      url: doc('URL of the repository (the folder that holds repodata).', addressTemplate('url')),
      keys: doc('Paths of keys, or armoured keys.', list(keyText())),
      repositorySigned: opt('Its metadata is signed, too (repo_gpgcheck). Default: false.', flag()),
    }),
  ] as const;
}

const packageRepository = discriminatedUnion('type', packageRepositories({ since, member: packageMember }), {
  error: wantsOneOf('type', 'apt', 'dnf'),
});

export const binarySources = fields({
  local: opt(
    'Packages in a folder of the host; the right one is chosen by the packages’ own metadata.',
    fields({
      type: doc('What the folder holds.', oneOf('deb', 'rpm')),
      directory: doc('The folder; placeholders as in `url`.', template('a path')),
      member: packageMember,
    }),
  ),
  mirror: opt(
    'A registry that stands in for the public sources, for networks without a way out.',
    fields({
      reference: doc('The artifact, `mirror.example/kubernetes/{tool}:{tag}`.', addressTemplate('reference')),
      type: opt('What the artifact is. Default: tarball.', form),
      member: packageMember,
      file: opt('Which of its files, by title, when it holds several.', template('a file name')),
      plainHttp,
      since,
      signature: opt('Who must have signed it.', signature),
    }),
  ),
  repository: opt('A package repository of this platform.', packageRepository),
  tarball: opt(
    'An archive of the programs.',
    fields({
      url: doc('URL, or OCI reference; placeholders as in a tool’s `url`.', addressTemplate('any')),
      type: opt('What it is. Default: tarball.', form),
      member: packageMember,
      digest: opt('sha256 of the archive.', digest),
    }),
  ),
});

export type BinarySourcesDocument = Infer<typeof binarySources>;
export type RepositoryDocument = NonNullable<BinarySourcesDocument['repository']>;
export type TransferDocument = Infer<typeof transfer>;

// ── of an ImageManifest's builds ─────────────────────────────────────────────────────────────────────────────────

const manifestLocation = {
  path: opt('Path of the file, relative to the manifest.', template('a path')),
  url: opt('URL of the file, when there is no path.', addressTemplate('any')),
  reference: opt('OCI artifact that holds the file, when there is neither.', addressTemplate('reference')),
  layout: opt('Folder with an OCI layout that holds the file (with `tag`, when it holds several).', template('a path')),
  tag: opt('Tag in the layout.', template('a tag')),
  file: opt('Which of the artifact’s files, by title, when it holds several.', template('a file name')),
  plainHttp,
  signature: opt('Who must have signed the OCI artifact.', signature),
};

export const manifestSource = discriminatedUnion(
  'type',
  [
    fields({ type: literal('deb'), ...manifestLocation, member: packageMember }),
    fields({ type: literal('rpm'), ...manifestLocation, member: packageMember }),
    fields({ type: literal('tarball'), ...manifestLocation, member: doc('Path inside.', template('a path')) }),
    fields({ type: literal('file'), ...manifestLocation }),
    fields({
      type: literal('image'),
      reference: opt('The container image.', addressTemplate('reference')),
      layout: opt('Folder with an OCI layout instead, relative to the manifest.', template('a path')),
      tag: opt('Tag in the layout.', template('a tag')),
      member: doc('Path of the file inside the image.', template('a path')),
      plainHttp,
    }),
    ...packageRepositories({
      package: opt('Name of the package. Default: the component’s.', name),
      member: packageMember,
    }),
  ],
  { error: wantsOneOf('type', 'deb', 'rpm', 'tarball', 'file', 'image', 'apt', 'dnf') },
);

export type ManifestSource = Infer<typeof manifestSource>;
