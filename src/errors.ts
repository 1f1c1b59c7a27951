/**
 * Every error a user can meet, in one table: a stable symbolic code, its exit class and what to do.
 *
 * The symbolic code is the contract; the message is for people and may change. `docs/reference/errors.md`
 * is generated from this table and a test compares the two.
 */

/**
 * Exit status by class, all below 80 (design: pinned). A class says who has to act. 2 to 7 and from 200 on are systemd's, which
 * names them NOTIMPLEMENTED, NOPERMISSION and so on (systemd.exec(5)); 64 to 78 mean what sysexits(3) says; ours are 8 to 63.
 */
export const exitStatus = {
  /** The command line itself is wrong. */
  usage: 64,
  /** A document is not valid: the person who wrote it acts. */
  document: 65,
  /** An artifact is missing, damaged, of the wrong digest, version or architecture. */
  artifact: 15,
  /** A source outside did not answer or answered with a fault: try again later. */
  network: 16,
  /** This host cannot do it: no root rights, no systemd, an unsupported system. */
  host: 17,
  /** No consistent plan exists: cycle, two owners of one resource, a start that would wait for itself. */
  plan: 18,
  /** An effect on the host failed: a write, a mount, a command. */
  apply: 8,
  /** A unit failed, stopped or never became healthy. */
  unit: 9,
  /** A deadline passed. */
  timeout: 10,
  /** Our own state (journal, generations, lock) is unusable or in use. */
  state: 11,
  /** A check ran and found differences. */
  check: 12,
  /** The node could not become one of its cluster. */
  cluster: 14,
  /** The user or the system asked us to stop. */
  interrupted: 13,
  /** A defect of nodekiln. */
  internal: 70,
} as const satisfies Record<string, number>;

/** Who has to act: the class of an error decides the exit status. */
export type ErrorClass = keyof typeof exitStatus;

interface ErrorEntry {
  readonly class: ErrorClass;
  /** What the code means, one line, for the reference page. */
  readonly meaning: string;
  /** What to do next; used when the thrower knows nothing better. */
  readonly hint: string;
}

/** The table. Keys are sorted within a class; add a row here before throwing a new code. */
export const errors = {
  NK_USAGE: { class: 'usage', meaning: 'The command line is wrong.', hint: 'Run the command with --help.' },

  NK_DOCUMENT_INVALID: {
    class: 'document',
    meaning: 'A document does not match its schema.',
    hint: 'Correct the places named; `nodekiln schema KIND` prints the schema.',
  },
  NK_DOCUMENT_KIND: {
    class: 'document',
    meaning: 'A document has an apiVersion or kind that is not known here.',
    hint: 'Use apiVersion nodekiln.dev/v1alpha1 and one of the kinds that `nodekiln schema` lists.',
  },
  NK_DOCUMENT_MISSING: { class: 'document', meaning: 'A document cannot be read.', hint: 'Check the path.' },
  NK_DOCUMENT_SYNTAX: {
    class: 'document',
    meaning: 'A document is not well-formed YAML or JSON.',
    hint: 'Correct the place named.',
  },
  NK_DOCUMENT_CHECKSUM: {
    class: 'document',
    meaning: 'A document is not the one that its checksum was made of: it was torn, or changed by hand.',
    hint: 'Write the Secret again as a whole, with its checksum.',
  },
  NK_DOCUMENT_EXPOSED: {
    class: 'document',
    meaning: 'Other users can change a document, or read one with secrets.',
    hint: 'chmod 0600 the file and make root its owner; take away the rights of others to write to its folders.',
  },

  NK_ARTIFACT_ARCHITECTURE: {
    class: 'artifact',
    meaning: 'An artifact is for another processor architecture than the host’s.',
    hint: 'Name the artifact for the host’s architecture in the manifest.',
  },
  NK_ARTIFACT_DIGEST: {
    class: 'artifact',
    meaning: 'An artifact has another digest than the one asked for.',
    hint: 'Compare the digest in the manifest with the publisher’s; do not use the file.',
  },
  NK_ARTIFACT_LIBRARIES: {
    class: 'artifact',
    meaning: 'A program needs shared libraries, or versions of their symbols, that the host does not have.',
    hint: 'Install the libraries named, or take a build for this release of the distribution.',
  },
  NK_ARTIFACT_MEMBER: {
    class: 'artifact',
    meaning: 'A package does not contain the member asked for, or contains it in an unusable form.',
    hint: 'List the members with the format’s own tool and correct `member`.',
  },
  NK_ARTIFACT_MISSING: {
    class: 'artifact',
    meaning: 'An artifact is not where the manifest says.',
    hint: 'Check the path or URL; in a manifest a relative path is relative to its folder.',
  },
  NK_ARTIFACT_NONE_USABLE: {
    class: 'artifact',
    meaning: 'No source could provide a usable binary.',
    hint: 'Bake the version into the image, or allow another source in the node configuration.',
  },
  NK_ARTIFACT_NO_PROGRAM: {
    class: 'artifact',
    meaning: 'What should be a program is none: a page, an archive, text, or a part of a program.',
    hint: 'Look at what the address answers; for a program inside an archive say `type: tarball` and `member`.',
  },
  NK_ARTIFACT_UNREADABLE: {
    class: 'artifact',
    meaning: 'An artifact is damaged, truncated, hostile or of another format than stated.',
    hint: 'Fetch it again and compare its digest.',
  },
  NK_ARTIFACT_VERSION: {
    class: 'artifact',
    meaning: 'An artifact is of another version than asked for.',
    hint: 'Correct the version or the artifact in the manifest.',
  },
  NK_CACHE_CONFLICT: {
    class: 'artifact',
    meaning: 'Two artifacts would be cached under one key.',
    hint: 'Keep one of the two in the manifest.',
  },
  NK_EXTENSION_REFUSED: {
    class: 'artifact',
    meaning: 'A system extension does not fit this host, or holds what must not be merged.',
    hint: 'Use a build of the extension for this system; it may only bring files of /usr.',
  },
  NK_SIGNATURE: {
    class: 'artifact',
    meaning: 'A signature is missing, wrong, expired or by another key.',
    hint: 'Get the artifact and the key from their publisher; do not use what is not vouched for.',
  },
  NK_TOOLS_IMAGE_NONE: {
    class: 'artifact',
    meaning: 'No tools image is listed for the cluster’s version, and the policy allows no other.',
    hint: 'Publish an image for the version, configure a tag, or allow another one with the policy `latest` or `newest`.',
  },
  NK_VERSION_INVALID: { class: 'artifact', meaning: 'A version text cannot be parsed.', hint: 'Write it like 1.34.3.' },

  NK_REGISTRY_DENIED: {
    class: 'network',
    meaning: 'A registry does not let us in.',
    hint: 'Log in with a container tool (docker login, oras login), or correct the credentials.',
  },
  NK_SOURCE_UNAVAILABLE: {
    class: 'network',
    meaning: 'A source did not answer, or answered with a fault.',
    hint: 'Check the network and the address, then try again.',
  },
  NK_TAGS_UNAVAILABLE: {
    class: 'network',
    meaning: 'A registry does not list the tags of a repository, so no version can be chosen among them.',
    hint: 'Name the exact tag, or the revision to use where tags cannot be listed.',
  },

  NK_EXTENSION_MERGE: {
    class: 'host',
    meaning: 'systemd could not merge the system extensions; those of before are in place again.',
    hint: 'Read what systemd-sysext said; look for a broken extension in /etc/extensions, /run/extensions and /var/lib/extensions.',
  },
  NK_NO_SYSTEMD: {
    class: 'host',
    meaning: 'systemd does not run here, or cannot be reached.',
    hint: 'Run it on a host booted with systemd.',
  },
  NK_NOT_ROOT: { class: 'host', meaning: 'Root rights are missing.', hint: 'Run as root.' },
  NK_SYSTEM: {
    class: 'host',
    meaning: 'The system refused to open, read or make something.',
    hint: 'The message says what, and why; check rights, space, limits and mounts.',
  },
  NK_TOOL_MISSING: {
    class: 'host',
    meaning: 'A program this step needs is not installed.',
    hint: 'Install the program named.',
  },
  NK_UNSUPPORTED: { class: 'host', meaning: 'This host lacks something the document needs.', hint: 'See the message.' },

  NK_PLAN_CONFLICT: {
    class: 'plan',
    meaning: 'Two sources claim one resource.',
    hint: 'Remove it from one of them, or set `takeover: true` in the later one.',
  },
  NK_PLAN_CYCLE: {
    class: 'plan',
    meaning: 'Steps wait for each other.',
    hint: 'Remove one of the dependencies named.',
  },
  NK_PLAN_SELF_WAIT: {
    class: 'plan',
    meaning: 'A unit to start is ordered after the unit that runs us, so it would wait for itself.',
    hint: 'Remove the ordering named.',
  },
  NK_PLAN_SKEW: {
    class: 'plan',
    meaning: 'A change would take kubelet back across a minor version.',
    hint: 'Recreate the node instead.',
  },

  NK_ACTION_FAILED: { class: 'apply', meaning: 'A command failed.', hint: 'See its output below.' },
  NK_FILE_WRITE: {
    class: 'apply',
    meaning: 'A file could not be written, replaced or removed.',
    hint: 'Check space, rights and whether the file system is read-only.',
  },
  NK_IMAGE_IMPORT: {
    class: 'apply',
    meaning: 'A container image could not be imported.',
    hint: 'Check the archive, and containerd’s log.',
  },
  NK_INSTALL_FAILED: {
    class: 'apply',
    meaning: 'Installing packages into the root failed.',
    hint: 'See the package manager’s output below.',
  },
  NK_KERNEL_SETTING: {
    class: 'apply',
    meaning: 'A kernel module or setting could not be applied or does not read back as set.',
    hint: 'Check that the kernel supports it.',
  },
  NK_NO_SPACE: {
    class: 'apply',
    meaning: 'A file system has too little room for what is to be fetched; nothing was.',
    hint: 'Free space on it (`df`, `du`), or make it larger.',
  },
  NK_PATH_UNSAFE: {
    class: 'apply',
    meaning: 'A path leads through a link that another user may have put there.',
    hint: 'Name the path that is meant without the link, or let only root write to the folder that the link is in.',
  },
  NK_ROUTE_FAILED: {
    class: 'apply',
    meaning: 'Routes of the host could not be read or changed.',
    hint: 'See what `ip route` says there; iproute2 of 2018 or later is needed.',
  },

  NK_STATIC_POD: {
    class: 'unit',
    meaning: 'kubelet does not run static pods as their manifests say, though it had five minutes.',
    hint: 'Read `journalctl -u kubelet` and the containers’ logs. Where the manifest only says the same in other words, stop the pod’s containers: kubelet starts them anew.',
  },
  NK_UNIT_FAILED: {
    class: 'unit',
    meaning: 'A unit failed, exited or restarts in a loop.',
    hint: 'Read its log lines below, or `journalctl -u UNIT`.',
  },
  NK_UNIT_MISSING: { class: 'unit', meaning: 'A unit does not exist.', hint: 'Check its name, or install it first.' },
  NK_UNIT_UNHEALTHY: {
    class: 'unit',
    meaning: 'A unit runs, but its component does not become ready.',
    hint: 'Read its log lines below, or `journalctl -u UNIT`.',
  },

  NK_TIMEOUT: { class: 'timeout', meaning: 'A deadline passed.', hint: 'See the message for what was waited for.' },

  NK_STATE_FOREIGN: {
    class: 'state',
    meaning: 'Something in our own state belongs to another user than root, or can be changed from beside it.',
    hint: 'Find out who made it; give it to root alone when it is to be believed, else move it away.',
  },
  NK_STATE_LOCKED: {
    class: 'state',
    meaning: 'Another nodekiln process works on this host.',
    hint: 'Wait for it to end; its process id is in the message.',
  },
  NK_STATE_UNUSABLE: {
    class: 'state',
    meaning: 'The state folder cannot be read or written.',
    hint: 'Check rights and space of /var/lib/nodekiln.',
  },

  NK_CLUSTER_AUTHORITY: {
    class: 'cluster',
    meaning: 'The API server’s certificate comes from an authority that `cluster.caBundle` does not hold.',
    hint: 'Compare caBundle with the cluster’s: `kubectl -n kube-public get configmap kube-root-ca.crt` or cluster-info.',
  },
  NK_CLUSTER_CERTIFICATE: {
    class: 'cluster',
    meaning: 'The API server’s certificate is for other names, or has expired.',
    hint: 'Use a name or address that its certificate has, or renew the certificate on the control plane.',
  },
  NK_CLUSTER_CLOCK: {
    class: 'cluster',
    meaning: 'This machine’s clock and the API server’s are too far apart for certificates to hold.',
    hint: 'Set the clock: `timedatectl`, or the time service that the network has.',
  },
  NK_CLUSTER_CREDENTIAL_MISSING: {
    class: 'cluster',
    meaning: 'kubelet has neither a certificate for the API server nor anything to ask for one with.',
    hint: 'Give `cluster.bootstrapToken`; `kubeadm token create` makes one.',
  },
  NK_CLUSTER_CREDENTIAL_REFUSED: {
    class: 'cluster',
    meaning: 'The API server does not accept the certificate or token that it is shown, or not for this node.',
    hint: 'Was it made by another cluster or for another name, or has it expired? kubelet’s: remove /var/lib/kubelet/pki and give a bootstrap token.',
  },
  NK_CLUSTER_FORBIDDEN: {
    class: 'cluster',
    meaning: 'The API server knows who asks, and does not let it do that.',
    hint: 'Compare its Roles with what `nodekiln cluster rbac NODE` prints.',
  },
  NK_CLUSTER_NAME_TAKEN: {
    class: 'cluster',
    meaning: 'Another machine is the Node of this name.',
    hint: 'Give each machine a name of its own (`kubelet.nodeName`, or the host’s name), or delete the Node when that machine is gone.',
  },
  NK_CLUSTER_NOT_READY: {
    class: 'cluster',
    meaning: 'The Node is registered but not Ready.',
    hint: 'See what kubelet says of it in the message; without a pod network, `network.cni` is none and somebody else must bring one.',
  },
  NK_CLUSTER_NOT_REGISTERED: {
    class: 'cluster',
    meaning: 'kubelet has its certificate, but the cluster has no Node of this name.',
    hint: 'Read `journalctl -u kubelet`.',
  },
  NK_CLUSTER_REQUEST_DENIED: {
    class: 'cluster',
    meaning: 'A request for a certificate, kubelet’s or the agent’s, was denied or failed.',
    hint: 'Ask who approves certificate requests there; kubelet asks again after a restart, the agent by itself.',
  },
  NK_CLUSTER_REQUEST_PENDING: {
    class: 'cluster',
    meaning: 'A request for a certificate, kubelet’s or the agent’s, waits for somebody to approve it.',
    hint: 'kubelet’s: `kubectl certificate approve` with the name in the message, or kubeadm’s bindings, which let the controller manager do so. The agent’s (nodekiln-agent-…): `nodekiln cluster approve`, which must run in the cluster.',
  },
  NK_CLUSTER_TOKEN_FORBIDDEN: {
    class: 'cluster',
    meaning: 'The token is known to the API server, but may not ask for a node’s certificate.',
    hint: 'Its group needs the ClusterRole system:node-bootstrapper; with kubeadm, create it with `kubeadm token create`.',
  },
  NK_CLUSTER_TOKEN_MALFORMED: {
    class: 'cluster',
    meaning: 'The file of the bootstrap token cannot be read or holds none.',
    hint: 'Write the token into it, as `kubeadm token create` prints it.',
  },
  NK_CLUSTER_TOKEN_REFUSED: {
    class: 'cluster',
    meaning:
      'The API server does not know the token, or no longer: unknown, expired or disabled, it says the same of all three.',
    hint: 'On the cluster, `kubeadm token list` (or the secrets bootstrap-token-… in kube-system) says which; `kubeadm token create` makes a new one.',
  },
  NK_CLUSTER_UNREACHABLE: {
    class: 'cluster',
    meaning: 'The API server cannot be reached, or does not answer as one.',
    hint: 'Check the address in `cluster.server`, the way there and whether the server runs.',
  },
  NK_POD_ROUTE_INDIRECT: {
    class: 'cluster',
    meaning: 'The address of a Node is on no link of this host, so no route to its pods can be made here.',
    hint: 'Let the routers between the two know the podCIDRs, or take a pod network that tunnels, with `podRoutes: false`.',
  },
  NK_POD_ROUTE_REFUSED: {
    class: 'cluster',
    meaning:
      'What a Node says of its pods or of itself would take addresses from somebody else; no route is made for it.',
    hint: 'Look at the Node: who wrote its podCIDRs and its InternalIP? Where a network of this host has the same addresses, give the cluster others.',
  },

  NK_CHECK_DIFFERENCES: { class: 'check', meaning: 'A check found differences.', hint: 'See the list.' },
  NK_CHECK_SIZE: {
    class: 'check',
    meaning: 'An image is larger than its budget.',
    hint: 'Leave out what takes the most, or raise --size-budget.',
  },
  NK_AGENT_RUNNING: {
    class: 'state',
    meaning: 'Another agent tends this host: two would undo each other’s work.',
    hint: 'Its process id is in the message; `systemctl status nodekiln-agent.service`.',
  },
  NK_AGENT_UPDATE_FAILED: {
    class: 'apply',
    meaning: 'The agent that a document or a bootstrap asks for did not come up, and the one before is back.',
    hint: 'Its last log lines are with the error. Another document or digest, or the one before, is tried anew; this one is not.',
  },
  NK_STATE_NEWER: {
    class: 'state',
    meaning: 'A newer nodekiln has written state that this one does not know.',
    hint: 'Give the host the newer nodekiln again, or `nodekiln reset` it with that one first.',
  },
  NK_AGENT_RESTART: {
    class: 'interrupted',
    meaning: 'The agent ended to start anew: it was asked to, or what it was started with holds no longer.',
    hint: 'Nothing is to be done where systemd runs it: it starts it again.',
  },
  NK_UPDATE_FAILED: {
    class: 'apply',
    meaning: 'An update in place could not be made.',
    hint: 'The reason is in the message and on the Node; put it right and label the Node `nodekiln.dev/update=ready` again.',
  },
  NK_KUBELET_TOO_NEW: {
    class: 'cluster',
    meaning: 'A kubelet newer than its API server is asked for, which Kubernetes does not support.',
    hint: 'Update the control plane first, or ask for a kubelet that is no newer.',
  },
  NK_INTERRUPTED: { class: 'interrupted', meaning: 'Asked to stop.', hint: 'Run the same command again to go on.' },
  NK_INTERNAL: {
    class: 'internal',
    meaning: 'A defect of nodekiln.',
    hint: 'Report it with the output of this command.',
  },
} as const satisfies Record<string, ErrorEntry>;

/**
 * The stable code of an error, `NK_DOCUMENT_INVALID`: the contract. docs/reference/errors.md says what each means.
 */
export type ErrorCode = keyof typeof errors;

/** A place in a document. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  /** Path inside the document, `spec.kubelet.labels`. */
  readonly path?: string;
}

/** What is known of an error beside its code and message. */
export interface ErrorDetail {
  /** What to do next, when the thrower knows better than the table. */
  readonly hint?: string;
  readonly cause?: unknown;
  readonly place?: Place;
  /** The resource or artifact it happened on, `unit:kubelet.service`. */
  readonly resource?: string;
  /** Lines that explain, such as the end of a log. Never secrets. */
  readonly lines?: readonly string[];
  /** Further problems found in the same pass. */
  readonly problems?: readonly Problem[];
}

/** One of several problems reported together, such as all errors of a document. */
export interface Problem {
  readonly message: string;
  /** Of the error it was found as, where it says more than that a document is invalid. */
  readonly code?: ErrorCode;
  readonly place?: Place;
  readonly hint?: string;
}

/** The only error type that crosses a module boundary on purpose. */
export class NodekilnError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly place: Place | undefined;
  readonly resource: string | undefined;
  readonly lines: readonly string[];
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'NodekilnError';
    this.code = code;
    this.hint = detail.hint ?? errors[code].hint;
    this.place = detail.place;
    this.resource = detail.resource;
    this.lines = detail.lines ?? [];
    this.problems = detail.problems ?? [];
  }

  get class(): ErrorClass {
    return errors[this.code].class;
  }

  get exitStatus(): number {
    return exitStatus[this.class];
  }

  /** The form in JSON output (`error` of the pinned envelope). */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      class: this.class,
      message: this.message,
      hint: this.hint,
      ...(this.place && { place: this.place }),
      ...(this.resource && { resource: this.resource }),
      ...(this.lines.length > 0 && { lines: this.lines }),
      ...(this.problems.length > 0 && { problems: this.problems }),
      // A parser quotes what it could not read, which may be secret.
      ...(this.cause instanceof Error && !(this.cause instanceof SyntaxError) && { cause: this.cause.message }),
    };
  }
}

/** What the system refuses, in words, and what to do about it: by errno. */
export const systemErrors: Readonly<Record<string, { readonly why: string; readonly hint: string }>> = {
  EACCES: { why: 'permission denied', hint: 'Run as root.' },
  EPERM: { why: 'not permitted', hint: 'Run as root, and check that the file is not immutable (`lsattr`).' },
  EROFS: { why: 'the file system is read-only', hint: 'Choose a path on a writable file system, or remount it.' },
  ENOSPC: { why: 'no space left', hint: 'Free space or inodes on this file system (`df`, `df -i`).' },
  EDQUOT: { why: 'the quota is used up', hint: 'Free space or raise the quota.' },
  ENOENT: { why: 'there is no such file', hint: 'Check the path, and whether something removes it meanwhile.' },
  EEXIST: { why: 'something is there already', hint: 'Remove or rename it, or correct the path.' },
  ENOTDIR: { why: 'a part of its path is not a folder', hint: 'Remove or rename that file, or correct the path.' },
  EISDIR: { why: 'a folder is in its place', hint: 'Remove or rename the folder, or correct the path.' },
  ENOTEMPTY: { why: 'a folder that is not empty is in its place', hint: 'Remove or rename the folder.' },
  ENAMETOOLONG: { why: 'its name is too long', hint: 'Shorten the path.' },
  ELOOP: { why: 'its path has too many symbolic links', hint: 'Look for a link that leads to itself.' },
  EBUSY: { why: 'it is in use', hint: 'It may be a mount point; unmount it or choose another path.' },
  ETXTBSY: { why: 'it is a running program', hint: 'Stop the program first.' },
  EINVAL: { why: 'it is no regular file, or not for this', hint: 'Look at what is there (`ls -l`, `findmnt`).' },
  ENXIO: { why: 'nothing is at its other end', hint: 'Look at what is there (`ls -l`): a FIFO, a socket, a device.' },
  ENODEV: { why: 'there is no such device', hint: 'Look at what is there (`ls -l`, `findmnt`).' },
  EFBIG: { why: 'it is too large', hint: 'Look at what is there (`ls -l`), and at the limit (`ulimit -f`).' },
  EXDEV: { why: 'it lies on another file system', hint: 'Look at the mounts (`findmnt`).' },
  EIO: { why: 'the disk fails', hint: 'Look at the kernel’s log (`dmesg`), and replace the disk.' },
  ESTALE: { why: 'the file system is no longer there', hint: 'Mount it again.' },
  EMFILE: { why: 'this process has too many open files', hint: 'Raise the limit (`LimitNOFILE=`, `ulimit -n`).' },
  ENFILE: { why: 'the machine has too many open files', hint: 'Raise fs.file-max, or find who opens them (`lsof`).' },
  ENOMEM: { why: 'memory is used up', hint: 'Free memory, or give the machine more.' },
  EAGAIN: { why: 'a limit of processes or memory is reached', hint: 'Raise the limit (`TasksMax=`, `ulimit -u`).' },
};

/**
 * Any thrown value as a NodekilnError. What the system refused says so, with its place and what to do; what else we did not
 * throw ourselves is a defect.
 */
export function asNodekilnError(thrown: unknown): NodekilnError {
  if (thrown instanceof NodekilnError) return thrown;
  const refused = refusedBySystem(thrown);
  if (refused) return refused;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new NodekilnError('NK_INTERNAL', message, { cause: thrown });
}

/** Of a system call alone: what a server or a program said has its own words. */
function refusedBySystem(thrown: unknown): NodekilnError | undefined {
  const known = systemErrors[errnoOf(thrown) ?? ''];
  if (!known || !(thrown instanceof Error)) return undefined;
  const path = placeOf(thrown);
  return new NodekilnError('NK_SYSTEM', `${path ?? thrown.message}: ${known.why} (${errnoOf(thrown)})`, {
    hint: known.hint,
    cause: thrown,
    ...(path !== undefined && { place: { file: path } }),
  });
}

/** Of two paths, where something is put when it is refused for what lies there. */
function placeOf(thrown: Error): string | undefined {
  if ('dest' in thrown && typeof thrown.dest === 'string' && /^(?:ENOSPC|EDQUOT|EROFS)$/.test(errnoOf(thrown) ?? ''))
    return thrown.dest;
  return 'path' in thrown && typeof thrown.path === 'string' ? thrown.path : undefined;
}

/** `file:line:column: path` as editors understand it. */
export function formatPlace(place: Place): string {
  const position = [place.file, place.line, place.column].filter((part) => part !== undefined).join(':');
  return place.path ? `${position}: ${place.path}` : position;
}

/** Why the system refused, in words: `permission denied`. What there are no words for here keeps its own. */
export function whyRefused(thrown: unknown): string {
  const errno = errnoOf(thrown);
  return systemErrors[errno ?? '']?.why ?? errno ?? (thrown instanceof Error ? thrown.message : String(thrown));
}

/** The POSIX error code of a failed system call, if it is one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
