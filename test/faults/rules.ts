/** What nodekiln promises; each has at least one fault beside this file, with the test that notices when it is broken. */
export const rules = {
  // ── documents ──
  'documents-strict': 'An unknown or impossible word in a document is an error with its place; nothing is passed over.',
  'documents-merged':
    'Sources merge in order over one set of defaults; the later word wins, lists with keys item by item.',
  'documents-take-effect': 'What a document says reaches the machine: no field is dropped, no override goes unsaid.',
  'documents-whole':
    'Only whole documents are taken: a folder that is lost is no empty one, a half-written file no document.',
  'values-as-given':
    'What is written for another program is read back by it as it was given; what it could not hold is refused with its place.',
  'words-visible': 'Words from outside are printed with what is no text made visible; JSON keeps them exact.',
  'documents-ours':
    'Only what root and we ourselves alone can change is taken as a document: the file, its folders, what links lead to.',
  secrets: 'Secrets are known by their type, never shown, never in a file that others can read, never taken from one.',
  identity: 'What has an identity or an expiry is never shared; what kubelet reads is never deferred.',

  // ── the engine ──
  'journal-first': 'One durable transaction records all intents of a plan before its first effect.',
  'looking-writes-nothing': 'Who looks at a root writes nothing to it, and sees the same where nothing can be written.',
  'journal-rebuilt': 'A lost or damaged journal is rebuilt as the union of the generations’ files.',
  touched: 'What was touched is the base of the next difference: what a superseded run left is cleaned up.',
  'durable-writes': 'A file is synced before it gets its name, its folder after it; a removal’s folder, too.',
  'exact-writes':
    'Mode and owner are exact whatever the umask; links are replaced, not followed; what is right is left alone.',
  'paths-ours':
    'No link in a folder that others may write to is followed, nothing leaves a root folder, whatever is exchanged meanwhile.',
  'state-ours':
    'Our own state belongs to root alone: what is somebody else’s is refused, what others can get at is put right.',
  'restarts-only-changed':
    'Only what changed restarts: once, after one daemon-reload, after all its inputs are in place.',
  'starts-joined':
    'Every start is awaited to active and to its own readiness, with a deadline; failures are seen at once.',
  ownership:
    'A document removes only what its own source brought; what is foreign stays, and comes back when it was replaced.',
  idempotence: 'A second run does nothing.',
  'plan-consistent':
    'What cannot be carried out is an error of the plan: a need of nothing, a circle, a start that waits for itself.',
  order: 'Before the goal comes what it needs, longest remaining path first; deferred work follows it.',
  'one-at-a-time': 'One nodekiln works on a host at a time; whoever waits can be interrupted.',
  processes: 'Every program has a deadline, a limit of output, and ends with all that it started.',

  // ── artifacts and the cache ──
  'version-keys':
    'Cache key = upstream, prerelease and track; what a request pins must match; two builds never share a key.',
  'program-form': 'What is no whole program for the host’s processor is never kept as one.',
  'programs-confined':
    'A program of a root changes nothing beside the root, and one that is only asked changes nothing at all; its end is ours.',
  'image-checked': 'Whatever an image was baked with, or must not have, is checked by verify from its lock.',
  seals: 'What is in the cache is regular, not empty, and of the recorded digest: a broken seal is hashed again.',
  activation: 'Activation never consumes the cache, and a target is replaced in one step.',
  'source-order':
    'The order of sources follows from the document; an own address is never ignored nor replaced by a public one.',
  extraction: 'One member comes out of an archive whole or not at all; hostile archives are refused; no script runs.',
  digests: 'Whatever is transferred has the digest that was asked for, or it is refused.',
  room: 'What there is no room for is refused before it is fetched.',
  signatures: 'A signature counts only from a key or an identity that the document names.',
  'units-that-run':
    'A service that ends right after its start is a failure, and a oneshot does its work once in a boot.',
  extensions: 'Extensions are exact, checked, kept from starting units, refreshed once and all or nothing.',
  oci: 'Registries and layouts are read by platform, resumed where they broke off, credentials given to their owner alone.',
  'locked-inputs': 'A locked bake takes what the lock names or fails.',
  installs:
    'Packages are installed into a root as it is, out of repositories as they are: the root keeps its own, what passes is asked again, what failed is never taken for done.',
  sealed:
    'An image that was sealed holds nothing of the machine, cloud or tool that made it, and keeps what it is told to.',
  reclaiming: 'The cache gives up only what nobody names, after a success and after its result.',

  // ── boot ──
  'boot-result': 'The result is published once, whole, at the end, whatever happened; it says what did.',
  'boot-taken-up': 'A boot that failed or was killed is taken up where it stopped.',
  'join-seen':
    'A boot follows how its node joins: each stage when it is passed, each obstacle by its own code, and never in kubelet’s way.',
  'join-name': 'One machine is one Node: a name that another has is said.',
  'boot-budget': 'One budget caps a boot; every wait has a deadline.',

  // ── agent ──
  'agent-follows': 'The agent follows its folder through renames and replacements, once per change.',
  'agent-looks':
    'A change looks at what it changes and what reads that; everything is looked at in time, however often documents change.',
  'agent-patient': 'It settles before it acts and backs off when it fails; the last good state stays in force.',
  'agent-bootstrap':
    'An unbaked machine becomes a tended one once, each piece whole or absent; what is there is not taken back.',
  'agent-updates-itself':
    'An agent becomes the one that documents ask for, after all else, or stays what it is; whoever is killed, one runs.',
  'agent-ends': 'It ends when it is told to, in every wait.',
  'agent-reports': 'It says what it did, by the digest of the documents it did it for.',

  // ── API servers ──
  'api-trust': 'An API server is trusted by its own authorities, and its answers are told apart.',
  'agent-identity':
    'The agent gets a certificate of its own, renews it in time, and keeps no token longer than it must.',
  heartbeat: 'The Lease is the Node’s own, written directly, in time, with a deadline each time.',
  'tokens-synced':
    'Tokens are in files of their mode before units start, and one that is away leaves its file as it is.',
  rights: 'An agent gets a certificate only when subject, usages and requester fit, and may do what is its own.',
  'local-health':
    'containerd and kubelet that fail for a minute are restarted, not for ever, and whatever the API server does.',
  'unit-conditions': 'The Node says whether its units are as documents ask, when that changes and seldom otherwise.',
  'node-after-node': 'One node after the other begins with a change, and none once another failed with it.',
  drift: 'What is no longer as it was put in place is put back or reported, as the AgentConfig says, and said once.',
  endpoints: 'The agent tells whether it runs and is ready, and what it counts; who looks does not hold it up.',
  'node-kept':
    'The Node holds what documents in force say, nothing of others is lost, and what is applied is told only once it is',
  'last-good-state': 'While documents are away, bad or deleted, what was asked for last is kept, also against drift',
  'node-alone': 'A Node that two machines write is written by neither agent, and the other machine is said.',
  'updated-in-place':
    'What disturbs pods waits until the Node is drained, is made once, and is said with its end; kubelet is never newer than its server.',
  renamed: 'A Node that names another Secret is followed to it, over restarts; nothing and nonsense change nothing.',
  reset: 'A reset takes back what the agent brought and then who the node is; what it could not take back, it says.',
  'pod-network':
    'Pods have addresses that the cluster gave this Node and no other, whatever became of the Node meanwhile.',
  'pod-routes':
    'Routes lead to the pods of nodes that are there, take nothing from anybody, and are the only ones that are touched.',
  'taken-over':
    'A node that another agent tended is taken over once, without a restart of what did not change, and nothing of it is left over.',
  'restarts-spread':
    'Nodes restart kubelet and containerd for one change at different times, kept over restarts of the agent',
  'api-followed':
    'What an API server holds is followed through cuts, silence and refusals: nothing is lost, and it is not pressed.',

  // ── the native host program ──
  'native-boundary':
    'What crosses into the native host program is what was meant: another type, a refusal and what is broken off are thrown with their code, and nothing stays open.',
  'native-limits':
    'No turn of the native host program lasts for ever; what cannot go on ends with its status and its place in TypeScript.',
  'native-same':
    'What the native host program says of documents and signatures is what Node says, and its Go decides nothing.',

  // ── people ──
  'plan-foretells': 'A plan says what can happen alone: what no source serves comes first, with what follows.',
  'start-up':
    'What boot and agent load is what they need: nothing for documents that are JSON, for archives, for terminals.',
  'on-the-path':
    'Who logs in to a baked machine finds its programs by name; nothing of the system is hidden or lost by it.',
  progress: 'Each transfer shows its bytes, rate and time left on a line of its own, which goes when it ends.',
  tables: 'A table fits the terminal, and cuts nothing that is copied from it.',
  'exit-statuses':
    'An exit status says who has to act, and no other program has a name of its own for it; who is ended by a signal ends by it.',
  'command-line':
    'A command line means the same wherever its options stand; what is wrong with it, or refused by the system, is said in words that fit the verb.',
} as const satisfies Readonly<Record<string, string>>;

export type Rule = keyof typeof rules;

export function isRule(name: string): name is Rule {
  return Object.hasOwn(rules, name);
}
