/**
 * What both kinds of documents share: files, units, actions, kernel settings, and what may be said about each of them.
 * One source may say only part of an item (its key is always required): `complete.ts` checks what merging leaves.
 */
import { check, literal, record, union } from 'zod/mini';
import {
  absolutePath,
  accountId,
  addressTemplate,
  anyLine,
  anyText,
  contentText,
  digest,
  doc,
  environment,
  fields,
  flag,
  keyedList,
  list,
  matching,
  mode,
  name,
  numberFrom,
  oneOf,
  opt,
  resourceId,
  size,
  targetPath,
  template,
  text,
  timespan,
  unitFileCheck,
  unitName,
  url,
  versionText,
  wholeNumber,
} from './schema-builders.ts';
import { wants } from './schema-checks.ts';
import { beginsWithProgram, hasOneForm, hasOneOf, isBase64, neverDeferred } from './item-checks.ts';
import { isNeverDeferrablePath, isNeverDeferrableUnit } from './never-deferrable.ts';
import { binarySources, form, transfer } from './schema-sources.ts';

// ── what may be said about every item ────────────────────────────────────────────────────────────────────────────

const importance = oneOf('required', 'bestEffort', 'background');

const policy = {
  importance: opt(
    'What a failure means: `required` fails the boot, `bestEffort` degrades it, `background` is only reported. Default: required.',
    importance,
  ),
  scope: opt(
    '`shared` may be captured in an image of a half-booted machine; `node` belongs to one machine. Default: node.',
    oneOf('shared', 'node'),
  ),
  takeover: opt('Take the resource over from the source that brought it before.', flag()),
  needs: opt('Resources that must be in place first, beside those that follow from paths and units.', list(resourceId)),
};

const deferrable = opt('May run after kubelet answers. Default: false.', flag());

function neverDeferrable(what: string) {
  return opt(
    `Always false: ${what} must be in place before kubelet starts.`,
    literal(false, { error: `cannot be true: ${what} must be in place before kubelet starts` }),
  );
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

const file = fields({
  path: doc('Absolute path on the host.', targetPath),
  content: opt('Text of the file.', contentText()),
  contentBase64: opt('Bytes of the file in base64.', contentText().check(check(isBase64))),
  symlink: opt('Make a symbolic link with this target.', text()),
  directory: opt('Make a folder.', literal(true, { error: wants('true') })),
  mode: opt('Mode bits. Default: "0644" for files ("0600" when sensitive), "0755" for folders.', mode),
  owner: opt('`root` or a numeric user id. Default: root.', accountId('user')),
  group: opt('`root` or a numeric group id. Default: root.', accountId('group')),
  sensitive: opt('The content is secret: never shown, and the mode must keep others out.', flag()),
  ...policy,
  deferrable,
}).check(check(neverDeferred(isNeverDeferrablePath, 'path')), check(hasOneForm));

export const files = keyedList('path', file);

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

const dropIn = fields({
  name: doc(
    'File name that ends in .conf.',
    matching(/^[^/\s]+\.conf$/, 'a file name that ends in .conf, like "50-limits.conf"'),
  ),
  content: opt('Text of the drop-in.', contentText().check(unitFileCheck())),
});

const readiness = fields({
  http: opt('A URL on this host that answers 200 when the component is ready.', url),
  socket: opt('A Unix socket that accepts connections when the component is ready.', absolutePath),
}).check(check(hasOneOf('http', 'socket')));

const input = matching(
  /^(?:\/[^\0\n]*|(?:file|unit|binary|image|kernel|action):\S.*)$/,
  'an absolute path or a resource like "binary:kubelet"',
);

const unit = fields({
  name: doc('Name with its type, `node-exporter.service`.', unitName),
  content: opt('The unit file. Absent for a unit that a package brings.', contentText().check(unitFileCheck())),
  dropIns: opt('Drop-ins; merged by name.', keyedList('name', dropIn)),
  enablement: opt('Whether it starts at boot. Left as it is when absent.', oneOf('enabled', 'disabled', 'masked')),
  state: opt('Whether it runs. Left as it is when absent.', oneOf('started', 'stopped')),
  inputs: opt('Files (paths) and other resources whose change restarts or reloads the unit.', list(input)),
  onChange: opt('What a change of the unit or its inputs does. Default: restart.', oneOf('restart', 'reload', 'none')),
  readiness: opt('How the component says that it is ready, beyond being active.', readiness),
  deadline: opt('From the start being queued to ready. Default: 90s.', timespan),
  sensitive: opt(
    'Unit file and drop-ins are secret: never shown. systemd itself tells every user what `Environment=` says: secrets belong in a file that `EnvironmentFile=` names.',
    flag(),
  ),
  ...policy,
  deferrable,
}).check(check(neverDeferred(isNeverDeferrableUnit, 'name')));

export const units = keyedList('name', unit);

// ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────

const argv = list(anyText()).check(check(beginsWithProgram));

const guard = fields({
  path: opt('Done when this exists.', absolutePath),
  command: opt('Done when this command exits 0.', argv),
}).check(check(hasOneOf('path', 'command')));

const action = fields({
  name: doc('Name of the action.', name),
  argv: opt('The program and its arguments; no shell. Never put secrets here.', argv),
  guard: opt('Says that the action is already done.', guard),
  env: opt('Environment variables; never shown.', environment()),
  timeout: opt('Default: 60s.', timespan),
  ...policy,
  deferrable,
});

export const actions = keyedList('name', action);

// ── kernel ───────────────────────────────────────────────────────────────────────────────────────────────────────

const kernelModule = fields({
  name: doc(
    'Name of the module, `br_netfilter`. One that is built into the kernel is fine.',
    matching(/^[A-Za-z0-9_][A-Za-z0-9_-]*$/, 'the name of a kernel module'),
  ),
  ...policy,
  deferrable: neverDeferrable('kernel settings'),
});

const sysctl = fields({
  key: doc(
    'Key with dots, `net.ipv4.ip_forward`.',
    matching(/^[a-z0-9_]+(?:[./][A-Za-z0-9_*:-]+)+$/, 'a sysctl like "net.ipv4.ip_forward"'),
  ),
  value: opt('Its value.', union([anyLine(), wholeNumber()], { error: wants('a string or a whole number') })),
  ...policy,
  deferrable: neverDeferrable('kernel settings'),
});

export const kernel = fields({
  modules: opt('Modules to load now and at every boot; merged by name.', keyedList('name', kernelModule)),
  sysctls: opt('Kernel settings; merged by key.', keyedList('key', sysctl)),
});

// ── binaries ─────────────────────────────────────────────────────────────────────────────────────────────────────

const binaryPolicy = oneOf('cache-first', 'cache-only', 'package');

const tool = fields({
  policy: opt('The policy of this tool instead of that for all.', binaryPolicy),
  version: opt('Default: the Kubernetes version.', versionText),
  url: opt(
    'URL or OCI reference to get it from instead: never ignored, and no other source is tried. Placeholders: {tool} {version} {upstream} {tag} {arch} {debArch} {rpmArch} {systemdArch}.',
    addressTemplate('any'),
  ),
  privateUrl: opt('The same for a private build; `url` wins over it.', addressTemplate('any')),
  digest: opt('sha256 of what `url` holds.', digest),
  member: opt('Path inside the package, when `url` names a package.', template('a path')),
  type: opt('What `url` names. Default: file.', form),
  package: opt('Its name in package repositories. Default: the tool’s.', name),
  sources: opt('Sources of this tool instead of those for all.', binarySources),
  target: opt('Where it is put. Default: /opt/bin/<tool>.', targetPath),
  ...policy,
  deferrable,
});

export const binaries = fields({
  policy: opt(
    '`cache-first`: the cache filled at bake, then other sources. `cache-only`: nothing else. `package`: skip the cache. Default: cache-first.',
    binaryPolicy,
  ),
  sources: opt('Where programs come from that are not in the cache.', binarySources),
  transfer: opt('How they are transferred.', transfer),
  cache: opt(
    'Which versions the cache gives up, once a boot or a change has succeeded. Absent: none. What is in use always stays.',
    fields({
      keep: opt(
        'How many versions of each program stay beside the one in use, the newest first. Default: 1.',
        numberFrom(0, 1000),
      ),
      maxSize: opt('What all that is kept beside may take, like "2GiB"; the oldest versions go first.', size),
    }),
  ),
  tools: opt(
    'Programs to activate, by name. kubelet and kubectl are there by default.',
    record(name, tool, { error: wants('a map') }),
  ),
});
