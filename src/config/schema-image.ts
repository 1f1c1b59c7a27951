/**
 * The schema of ImageManifest: what an image holds before any machine starts from it. Relative paths are relative to
 * the manifest. Paths and URLs may hold named placeholders (`template.ts`).
 */
import { check, discriminatedUnion, literal, union } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import {
  accountId,
  addressTemplate,
  checkedAddress,
  digest,
  doc,
  fields,
  flag,
  list,
  matching,
  mode,
  name,
  oneOf,
  opt,
  size,
  targetPath,
  template,
  text,
  unitName,
  versionText,
} from './schema-builders.ts';
import { wants, wantsOneOf } from './schema-checks.ts';
import { isReference } from './cluster-checks.ts';
import { holdsNoSecret } from './image-checks.ts';
import { haveForms } from './item-checks.ts';
import { files } from './schema-items.ts';
import { apiVersion, metadata, nodeSpec } from './schema-node.ts';
import { manifestSource, plainHttp, signature, transfer } from './schema-sources.ts';

function oneOrMore(what: string) {
  return union([text(), list(text())], { error: wants(`${what} or a list of them`) });
}

const arch = oneOf('amd64', 'arm64');

const on = fields({
  os: opt('Identifier in os-release: `debian`, `ubuntu`, `azurelinux`.', oneOrMore('an identifier')),
  release: opt('VERSION_ID in os-release: `13`, `24.04`.', oneOrMore('a string like "13" (in quotes)')),
  variant: opt('VARIANT_ID in os-release.', oneOrMore('an identifier')),
  arch: opt(
    'Processor: `amd64`, `arm64`.',
    union([arch, list(arch)], { error: wants('"amd64", "arm64" or a list of them') }),
  ),
});

const perArch = union([digest, fields({ amd64: opt('For amd64.', digest), arm64: opt('For arm64.', digest) })], {
  error: wants('a digest like "sha256:" and 64 hexadecimal digits, or a map with amd64 and arm64'),
});

const build = fields({
  version: doc('Version as its publisher writes it; at most one build of a version per machine.', versionText),
  on: opt('Machines this build is for, in addition to the component’s.', on),
  source: doc('Where it comes from.', manifestSource),
  digest: opt('sha256 of the package or file, one or one per architecture.', perArch),
});

const common = {
  name: doc('Name of the component; of the program, for `cache`.', name),
  on: opt('Machines it is for. Absent: all.', on),
};

const cache = fields({
  ...common,
  action: doc('Keep versions of a program in the cache, /opt/bin/<name>-<version>.', literal('cache')),
  builds: doc('The versions to keep.', list(build)),
});

const distributionPackage = fields({
  name: doc('Name of the package.', matching(/^[A-Za-z0-9][A-Za-z0-9.+_-]*$/, 'the name of a package')),
  version: opt(
    'Its exact version. Absent: the distribution’s newest.',
    matching(/^[A-Za-z0-9][A-Za-z0-9.+:~^_-]*$/, 'the version of a package, like "1.34.3-1.1"'),
  ),
});

const install = fields({
  ...common,
  action: doc(
    'Install packages of the distribution. None of their units is enabled unless `units.enable` names it.',
    literal('install'),
  ),
  source: doc(
    'The package manager and the packages.',
    fields({
      type: doc('Package manager.', oneOf('apt', 'dnf')),
      packages: doc(
        'Packages; names, or names with versions.',
        list(
          union([matching(/^[A-Za-z0-9][A-Za-z0-9.+_-]*$/, 'the name of a package'), distributionPackage], {
            error: wants('the name of a package, or a map with name and version'),
          }),
        ),
      ),
    }),
  ),
});

const imageReference = checkedAddress(
  isReference,
  'a full image reference with registry and tag, like "registry.k8s.io/pause:3.10"',
);

const image = fields({
  ...common,
  action: doc('Put a container image into containerd’s store.', literal('image')),
  reference: doc('Its reference, `registry.k8s.io/pause:3.10`.', imageReference),
  archive: opt(
    'Archive (OCI layout or docker-archive tar), relative to the manifest. Default: it is pulled from its registry.',
    template('a path'),
  ),
  digest: opt(
    'sha256 of the archive, one or one per architecture; without one of the manifest or index in the registry.',
    perArch,
  ),
  plainHttp,
  signature: opt('Who must have signed the image in the registry.', signature),
  pin: opt('Keep kubelet from removing it. Default: true.', flag()),
  unpack: opt(
    'Make its layers into snapshots at bake: `always`, `never` (when its first container starts), or `auto`, archives below 200 MiB only. Default: auto.',
    oneOf('auto', 'always', 'never'),
  ),
});

const download = fields({
  ...common,
  action: doc('Put one file from somewhere at a path.', literal('download')),
  version: opt('Version, for the placeholders. Default: 0.', versionText),
  url: doc('Where it is: a URL, or an OCI reference.', addressTemplate('any')),
  target: doc('Where it is put, executable.', targetPath),
  digest: doc('sha256 of the file, one or one per architecture.', perArch),
});

const component = discriminatedUnion('action', [cache, install, image, download], {
  error: wantsOneOf('action', 'cache', 'install', 'image', 'download'),
});

const imageSpec = fields({
  transfer: opt('How artifacts are transferred.', transfer),
  components: opt('What the image holds.', list(component)),
  files: opt('Files, links and folders.', files.check(check(haveForms))),
  units: opt(
    'Which units start at boot.',
    fields({
      enable: opt('Enable these.', list(unitName)),
      disable: opt('Disable these.', list(unitName)),
      mask: opt('Mask these.', list(unitName)),
    }),
  ),
  nodeConfig: opt(
    'Defaults of every node made from this image: the spec of a NodeConfig, in whole or in part. No secrets.',
    nodeSpec.check(check(holdsNoSecret)),
  ),
  verify: opt(
    'What `nodekiln verify` asks of the image beyond what the manifest brings.',
    fields({
      absent: opt('Nothing is at these paths.', list(targetPath)),
      present: opt(
        'Something is at these paths.',
        list(
          fields({
            path: doc('Where.', targetPath),
            type: opt('Of this kind. Default: any.', oneOf('file', 'directory', 'symlink')),
            mode: opt('With these mode bits. Default: any.', mode),
            owner: opt('Of this user, `root` or a numeric id. Default: any.', accountId('user')),
            group: opt('Of this group, `root` or a numeric id. Default: any.', accountId('group')),
          }),
        ),
      ),
      units: opt(
        'Units are so.',
        list(
          fields({
            name: doc('The unit.', unitName),
            state: doc(
              'In the words of `systemctl is-enabled`; `absent`: there is no such unit.',
              oneOf('enabled', 'disabled', 'masked', 'static', 'indirect', 'alias', 'generated', 'linked', 'absent'),
            ),
          }),
        ),
      ),
      noLogins: opt(
        'Nobody can log in: no account has a password, lacks one, or has keys in ~/.ssh/authorized_keys. Default: false.',
        flag(),
      ),
      freeSpace: opt('At least so much is free where the root lies.', size),
    }),
  ),
  nodekiln: opt(
    'Our own part in the image.',
    fields({
      boot: opt('Configure the node at its first boot (nodekiln-boot.service). Default: true.', flag()),
      agent: opt('Tend the node from then on (nodekiln-agent.service). Default: false.', flag()),
      agentSource: opt(
        'Where the agent finds documents, whatever its AgentConfig says. Default: what that says, else dir:/etc/nodekiln/desired.',
        matching(/^dir:\/\S+$/, 'a source like "dir:/etc/nodekiln/desired"'),
      ),
      path: opt(
        'Put /opt/bin, with nodekiln in it, and other folders that `nodeConfig` gives programs as a target on the PATH of login shells and sudo. Default: true.',
        flag(),
      ),
    }),
  ),
});

export const imageManifest = fields({
  apiVersion: doc('Version of this schema.', literal(apiVersion)),
  kind: doc('Kind of document.', literal('ImageManifest')),
  metadata: opt('About the document.', metadata),
  spec: doc('What the image holds.', imageSpec),
});

export type ImageManifest = Infer<typeof imageManifest>;
export type Component = NonNullable<ImageManifest['spec']['components']>[number];
export type Selector = Infer<typeof on>;
export type ArchDigest = Infer<typeof perArch>;
