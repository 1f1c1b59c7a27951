/**
 * What the kernel refuses to a program in a sandbox, as a filter of system calls (seccomp(2)): everything by which a machine
 * is changed or looked into beyond the program's own files and processes. Numbers are of asm/unistd_64.h (x64) and
 * asm-generic/unistd.h (arm64). Calls of another architecture's form end the program, so that no number means another call.
 */

type Architecture = 'x64' | 'arm64';

/** A call that an architecture lacks is undefined there. */
type Numbers = readonly [x64: number | undefined, arm64: number | undefined];

/** Refused to every program of a root. */
const refused: Readonly<Record<string, Numbers>> = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  create_module: [174, undefined],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioperm: [173, undefined],
  iopl: [172, undefined],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  lookup_dcookie: [212, 18],
  migrate_pages: [256, 238],
  modify_ldt: [154, undefined],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  nfsservctl: [180, 42],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  pidfd_getfd: [438, 438],
  pivot_root: [155, 41],
  process_madvise: [440, 440],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  uselib: [134, undefined],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
};

/** Refused to programs that only have to say something, too. */
const refusedToReaders: Readonly<Record<string, Numbers>> = {
  chroot: [161, 51],
  mknod: [133, undefined],
  mknodat: [259, 33],
  personality: [135, 92],
  socket: [41, 198],
};

/** Layers are unpacked by way of mounts, which namespaces of users keep harmless. */
const neededByImporters: ReadonlySet<string> = new Set(['mount', 'umount2']);

const cloning: Readonly<Record<'clone' | 'clone3', Numbers>> = { clone: [56, 220], clone3: [435, 435] };

/** What the launcher itself calls. */
const calls = {
  capset: [126, 91],
  mount: [165, 40],
  mount_setattr: [442, 442],
  pivot_root: [155, 41],
  prctl: [157, 167],
  prlimit64: [302, 261],
  seccomp: [317, 277],
  setgroups: [116, 159],
  setresgid: [119, 149],
  setresuid: [117, 147],
  umount2: [166, 39],
  unshare: [272, 97],
} as const satisfies Readonly<Record<string, Numbers>>;

/** `capset:126,mount:165,…` */
export function launcherCalls(architecture: Architecture): string {
  return Object.entries(calls)
    .map(([name, numbers]) => `${name}:${numberOf(numbers, architecture)}`)
    .join(',');
}

function numberOf([x64, arm64]: Numbers, architecture: Architecture): number | undefined {
  return architecture === 'x64' ? x64 : arm64;
}

// ── the filter ───────────────────────────────────────────────────────────────────────────────────────────────────

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64. */
const auditArchitecture = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
/** Numbers from here on are the x32 form of the same calls. */
const x32 = 0x40000000;
const [killProcess, allow, errno] = [0x80000000, 0x7fff0000, 0x00050000];
const [notPermitted, notImplemented] = [1, 38];
const [load, jumpEqual, jumpFrom, jumpAny, answer] = [0x20, 0x15, 0x35, 0x45, 0x06];
/** Offsets in struct seccomp_data; the first argument's low half. */
const [callNumber, callArchitecture, firstArgument] = [0, 4, 16];
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; the low byte of clone's flags is a signal. */
const newNamespaces = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/** The filter as the kernel takes it: an array of struct sock_filter. */
export function systemCallFilter(architecture: Architecture, who: 'reader' | 'installer' | 'importer'): Buffer {
  const numbers = Object.entries(who === 'reader' ? { ...refused, ...refusedToReaders } : refused)
    .filter(([name]) => who !== 'importer' || !neededByImporters.has(name))
    .flatMap(([, each]) => numberOf(each, architecture) ?? []);
  const refuse = (number: number, with_: number): Instruction[] => [
    [jumpEqual, 0, 1, number],
    [answer, 0, 0, with_],
  ];
  const program: Instruction[] = [
    [load, 0, 0, callArchitecture],
    [jumpEqual, 1, 0, auditArchitecture[architecture]],
    [answer, 0, 0, killProcess],
    [load, 0, 0, callNumber],
    ...(architecture === 'x64' ? ([[jumpFrom, 0, 1, x32]] as const) : []),
    ...(architecture === 'x64' ? ([[answer, 0, 0, killProcess]] as const) : []),
    ...numbers.flatMap((number) => refuse(number, errno | notPermitted)),
    // Its flags lie in memory, where no filter can look: C libraries then take clone.
    ...refuse(numberOf(cloning.clone3, architecture) ?? 0, errno | notImplemented),
    [jumpEqual, 0, 3, numberOf(cloning.clone, architecture) ?? 0],
    [load, 0, 0, firstArgument],
    [jumpAny, 0, 1, newNamespaces],
    [answer, 0, 0, errno | notPermitted],
    [answer, 0, 0, allow],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
