/**
 * The last steps on the way into a sandbox, in one process that starts nothing but the program itself: after the root has
 * changed there is no tool left that could be trusted. Perl makes them, as system calls: it is there wherever dpkg is
 * (perl-base is essential in Debian), and it is loaded before. It begins as process 1 of namespaces of its own with full
 * rights and stays behind, outside of what the program can reach; when it ends, all that was started ends.
 *
 * Arguments: who (`reader`, `installer` or `importer`), the root, a user id, the calls' numbers, the capabilities kept (a mask), the
 * filter (hexadecimal), the program and its arguments. Exit status 125: no sandbox; 126 and 127 as for a shell.
 */
export const launcher = `
use strict;
my ($who, $root, $user, $numbers, $kept, $filter, @argv) = @ARGV;
my %number = split /[:,]/, $numbers;
my ($reader, $importer) = ($who eq 'reader', $who eq 'importer');
sub may { my ($name, @rest) = @_; return syscall(0 + $number{$name}, @rest) != -1 }
sub must { my ($name) = @_; may(@_) or fail("$name: $!") }
sub fail { print STDERR "sandbox: @_\\n"; exit 125 }
sub lose { for my $cap (0 .. 63) { may('prctl', 24, $cap, 0, 0, 0) unless $kept >> $cap & 1 } }

# A root of its own; the one before is gone, and nothing leads there.
chdir $root or fail("$root: $!");
if ($reader) {
  must('mount', 'tmpfs', '/sys', 'tmpfs', 6, 'mode=0700,size=64k');
  mkdir '/sys/root' or fail("mkdir: $!");
  must('mount', '.', '/sys/root', 0, $root eq '/' ? 0x5000 : 0x1000, 0);
  chdir '/sys/root' or fail("chdir: $!");
  # Read-only, no set-user-id, no devices, for all that lies below.
  must('mount_setattr', -100, '.', 0x8000, pack('Q4', 7, 0, 0, 0), 32);
  for my $hidden (grep { -d $_ && !-l $_ } 'dev', 'sys', 'run') {
    must('mount', 'tmpfs', $hidden, 'tmpfs', 14, 'mode=0755,size=4k');
    if ($hidden eq 'dev') {
      open(my $null, '>', 'dev/null') or fail("dev/null: $!");
      must('mount', '/dev/null', 'dev/null', 0, 0x1000, 0);
      must('mount', 0, 'dev/null', 0, 0x102b, 0);
    }
    must('mount', 0, $hidden, 0, 0x2f, 0);
  }
  if (-d 'proc' && !-l 'proc') {
    may('mount', 'proc', 'proc', 'proc', 14, 'hidepid=2,subset=pid') or must('mount', 'proc', 'proc', 'proc', 14, 'hidepid=2');
  }
}
must('pivot_root', '.', '.');
must('umount2', '.', 2);
chdir '/' or fail("chdir: $!");

pipe(my $mapped, my $map);
pipe(my $asked, my $ask);
my $program = fork();
fail("fork: $!") unless defined $program;
if ($program) {
  $SIG{TERM} = sub { kill 'TERM', $program };
  if ($importer and sysread($asked, my $word, 1)) {
    for my $ids ('uid_map', 'gid_map') {
      open(my $file, '>', "/proc/$program/$ids") or fail("$ids: $!");
      print $file '0 0 4294967295';
      close $file or fail("$ids: $!");
    }
    syswrite($map, 'x');
  }
  while ((my $gone = wait()) != -1) {
    exit($? & 127 ? 128 + ($? & 127) : $? >> 8) if $gone == $program;
  }
  exit 125;
}

if ($importer) {
  # Users as outside, in a namespace of its own: rights over files and mounts, none over the machine.
  must('unshare', 0x10020000);
  syswrite($ask, 'x');
  sysread($mapped, my $word, 1) or fail('no users');
  must('prctl', 38, 1, 0, 0, 0);
}
else { lose() }
if ($reader) {
  if (open(my $score, '>', '/proc/self/oom_score_adj')) { print $score '1000'; close $score }
  # Processor seconds, written and core bytes, data, processes, files, locked memory, message queues.
  my %limit = (0 => 60, 1 => 0, 4 => 0, 2 => 4 << 30, 6 => 256, 7 => 1024, 8 => 1 << 20, 12 => 0);
  must('prlimit64', 0, 0 + $_, pack('Q2', $limit{$_}, $limit{$_}), 0) for keys %limit;
  must('setgroups', 0, 0);
  must('setresgid', (0 + $user) x 3);
  must('setresuid', (0 + $user) x 3);
  # Not everywhere may a user have a namespace; whatever it would add, the program has no rights to use.
  lose() if may('unshare', 0x10000000);
  must('capset', pack('L2', 0x20080522, 0), pack('L6', (0) x 6));
  must('prctl', 38, 1, 0, 0, 0);
}
my $code = pack('H*', $filter);
must('seccomp', 1, 0, pack('Sx6P', length($code) / 8, $code));
{ no warnings; exec { $argv[0] } @argv }
my $missing = $!{ENOENT};
print STDERR "sandbox: $argv[0]: $!\\n";
exit($missing ? 127 : 126);
`;
