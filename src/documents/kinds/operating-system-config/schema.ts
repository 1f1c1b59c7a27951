/**
 * The schema of Gardener's `OperatingSystemConfig` (extensions.gardener.cloud/v1alpha1), as its agents get it. Rules that a
 * field has by itself are here; those between fields are in `rules.ts`. Keys that are not here are warnings, not errors:
 * the format is somebody else's and grows. Pure.
 */
import { check, literal, optional, refine, unknown } from 'zod/mini';
import type { output } from 'zod/mini';
import {
  areModeBits,
  dnsSubdomain,
  endsInName,
  hasOneContent,
  isEncoded,
  isServerUrl,
  isShortName,
  isShortPath,
  isUpstream,
  longestName,
  longestPath,
  namesTable,
  removesWithoutValues,
} from './checks.ts';
import { isReference } from '../../../config/cluster-checks.ts';
import {
  targetPath,
  anyText,
  asAddress,
  checkedAddress,
  contentText,
  doc,
  fields,
  flag,
  containerdSettings,
  list,
  matching,
  oneOf,
  opt,
  secretContent,
  text,
  unitFileCheck,
  unitName,
  url,
  wholeNumber,
} from '../../../config/schema-builders.ts';
import { wants, wantsAddress } from '../../../config/schema-checks.ts';

export const apiVersion = 'extensions.gardener.cloud/v1alpha1';
export const kindName = 'OperatingSystemConfig';

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

const filePath = targetPath.check(
  refine(endsInName, { error: wants('the path of a file, without a slash at its end') }),
  refine(isShortPath, {
    error: `must be a path of at most ${longestPath} characters, with names of at most ${longestName}`,
  }),
);

const inline = fields({
  encoding: opt('`b64`, or "" for text as it stands. Default: "".', oneOf('', 'b64')),
  data: doc('The content.', secretContent()),
}).check(check(isEncoded));

const secretName = matching(dnsSubdomain, 'the name of a Secret');

const memberPath = matching(
  /^(?!.*(?:^|\/)\.\.(?:\/|$))\/?[^\0\n/][^\0\n]*(?<!\/)$/,
  'the path of a file inside the image without ".." parts, like "/usr/bin/kubelet"',
);

const content = fields({
  inline: opt('The content itself.', inline),
  secretRef: opt(
    'A key of a Secret that the source of the document can read.',
    fields({ name: doc('Name of the Secret.', secretName), dataKey: doc('Key in its data.', text()) }),
  ),
  imageRef: opt(
    'A file inside a container image.',
    fields({
      image: doc(
        'The image, by tag or digest.',
        checkedAddress(
          isReference,
          'the reference of an image with its registry and a tag or digest, like "registry.example/team/kubelet:v1.34.3"',
        ),
      ),
      filePathInImage: doc('Path of the file inside the image.', memberPath),
    }),
  ),
  transmitUnencoded: opt('For user data only; it means nothing to an agent.', flag()),
}).check(check(hasOneContent));

const file = fields({
  path: doc('Absolute path on the host.', filePath),
  permissions: opt(
    'Mode bits as a decimal number: 493 is 0755. Default: 384, which is 0600.',
    wholeNumber().check(refine(areModeBits, { error: wants('mode bits as a decimal number from 0 to 4095') })),
  ),
  hostName: opt(
    'Only for the host of this name.',
    matching(dnsSubdomain, 'the name of a host in lower case, like "node-1"'),
  ),
  content: doc('What is in it: one of inline, secretRef and imageRef.', content),
});

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

const dropIn = fields({
  name: doc(
    'Name of the file in the unit’s folder of drop-ins.',
    matching(/^(?!\.{1,2}$)[^/\0\s]{1,255}$/, 'a file name like "10-limits.conf"'),
  ),
  content: doc('Text of the drop-in.', secretContent().check(unitFileCheck())),
});

const unit = fields({
  name: doc(
    'Name with its type.',
    unitName.check(refine(isShortName, { error: `must have at most ${longestName} characters` })),
  ),
  command: opt('What is done with it. Default: restart.', oneOf('start', 'restart', 'stop')),
  enable: opt('Whether it starts at boot; `false` also stops it. Default: true.', flag()),
  content: opt('The unit file. Absent for a unit that the system brings.', contentText().check(unitFileCheck())),
  dropIns: opt('Drop-ins.', list(dropIn)),
  filePaths: opt('Files whose change restarts it: paths of this document.', list(text('the path of a file'))),
});

// ── containerd ───────────────────────────────────────────────────────────────────────────────────────────────────

const serverUrl = url.check(
  refine(isServerUrl, {
    error: wantsAddress('a URL like "https://registry.example"'),
  }),
);

const registry = fields({
  upstream: doc(
    'The registry as it stands in references; `_default` for all others.',
    checkedAddress(isUpstream, 'a host with an optional port like "registry.example:5000", or "_default"'),
  ),
  server: opt('Address that is asked last.', serverUrl),
  hosts: opt(
    'Addresses that are asked before, in this order.',
    list(
      fields({
        url: doc('Address.', serverUrl),
        capabilities: opt('Default: pull and resolve.', list(oneOf('pull', 'resolve', 'push'))),
        caCerts: opt(
          'Files with certificates (PEM) of authorities to trust; relative ones lie in the registry’s folder.',
          list(matching(/^(?!.*(?:^|\/)\.\.(?:\/|$))[^\0\n]+$/, 'the path of a file')),
        ),
        overridePath: opt('The address already names the API’s root.', flag()),
      }),
    ),
  ),
  readinessProbe: opt('Only written once all hosts answer.', flag()),
});

const plugin = fields({
  op: opt('Default: add.', oneOf('add', 'remove')),
  path: doc('Names of the tables below `plugins`.', list(text('the name of a table')).check(check(namesTable))),
  values: opt('What the table gets.', containerdSettings()),
}).check(check(removesWithoutValues));

const containerd = fields({
  sandboxImage: doc('Image of the pods’ sandbox.', asAddress(text('the reference of an image'))),
  registries: opt('Mirrors of registries.', list(registry)),
  plugins: opt('Changes of containerd’s configuration, in order.', list(plugin)),
});

const criConfig = fields({
  name: doc('The runtime.', literal('containerd', { error: wants('"containerd"') })),
  cgroupDriver: opt('containerd’s own choice when absent.', oneOf('cgroupfs', 'systemd')),
  containerd: opt('How containerd is configured.', containerd),
});

// ── in-place updates ─────────────────────────────────────────────────────────────────────────────────────────────

const rotation = fields({ lastInitiationTime: opt('When it was last begun.', text('a time')) });

const inPlaceUpdates = fields({
  operatingSystemVersion: doc('Version that the system shall be of.', text('a version')),
  kubelet: doc('Version that kubelet shall be of.', text('a version')),
  credentialsRotation: opt(
    'Rotations of credentials.',
    fields({
      certificateAuthorities: opt('Of the cluster’s certificate authorities.', rotation),
      serviceAccountKey: opt('Of the key that signs service accounts’ tokens.', rotation),
    }),
  ),
});

// ── the document ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Read by others, or by nobody here. */
const passedOver = optional(unknown());

const spec = fields({
  type: opt('Name of the operating system.', anyText()),
  purpose: opt(
    '`reconcile`, or `provision` for what becomes user data. "" counts as reconcile. Default: reconcile.',
    oneOf('reconcile', 'provision', ''),
  ),
  providerConfig: passedOver,
  criConfig: opt('The container runtime.', criConfig),
  units: opt('Units. Entries of one name are one unit.', list(unit)),
  files: opt('Files.', list(file)),
  inPlaceUpdates: opt('What is updated without replacing the machine.', inPlaceUpdates),
});

const status = fields({
  extensionUnits: opt('Units that an extension adds.', list(unit)),
  extensionFiles: opt('Files that an extension adds.', list(file)),
  inPlaceUpdates: opt(
    'How an extension updates the system.',
    fields({
      osUpdate: opt(
        'The command.',
        fields({ command: doc('The program.', text('a program')), args: opt('Its arguments.', list(anyText())) }),
      ),
    }),
  ),
  cloudConfig: passedOver,
  conditions: passedOver,
  lastError: passedOver,
  lastOperation: passedOver,
  observedGeneration: passedOver,
  providerStatus: passedOver,
  resources: passedOver,
  state: passedOver,
});

export const operatingSystemConfigSchema = fields({
  apiVersion: doc('Version of the format.', literal(apiVersion, { error: wants(`"${apiVersion}"`) })),
  kind: doc('The kind of document.', literal(kindName, { error: wants(`"${kindName}"`) })),
  metadata: passedOver,
  spec: doc('What is asked for.', spec),
  status: opt('What extensions add.', status),
});

export type OperatingSystemConfig = output<typeof operatingSystemConfigSchema>;
export type OscSpec = OperatingSystemConfig['spec'];
export type OscFile = NonNullable<OscSpec['files']>[number];
export type OscUnit = NonNullable<OscSpec['units']>[number];
export type OscContainerd = NonNullable<NonNullable<OscSpec['criConfig']>['containerd']>;
export type OscRegistry = NonNullable<OscContainerd['registries']>[number];
export type OscPlugin = NonNullable<OscContainerd['plugins']>[number];
