import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentUnit, agentUpdateUnit, bootUnit, sshHostKeysUnit, sshHostKeysUnitName } from './own-units.ts';

test('the boot starts early, once, before nothing that could wait for it', () => {
  assert.equal(
    bootUnit(),
    `[Unit]
Description=nodekiln: make this machine the node its configuration describes
DefaultDependencies=no
RequiresMountsFor=/var/lib/nodekiln /opt
Wants=local-fs.target
After=local-fs.target systemd-journald.socket
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=NODEKILN_UNIT=%n
ExecStart=/opt/nodekiln/bin/nodekiln \\
  boot
TimeoutStartSec=30min
UMask=0077

[Install]
WantedBy=multi-user.target
`,
  );
});

test('the agent comes after the boot and is started again whenever it ends', () => {
  assert.equal(
    agentUnit('dir:/a b'),
    `[Unit]
Description=nodekiln: keep this node as its configuration describes
RequiresMountsFor=/var/lib/nodekiln /opt
After=nodekiln-boot.service
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/opt/nodekiln/bin/nodekiln \\
  agent \\
  --source \\
  "dir:/a b"
Environment=MALLOC_ARENA_MAX=1
Environment=MALLOC_TRIM_THRESHOLD_=131072
Environment=NODE_OPTIONS=--max-semi-space-size=1
Restart=always
RestartSec=2
UMask=0077
LockPersonality=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=~CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BLOCK_SUSPEND CAP_BPF CAP_IPC_OWNER CAP_LEASE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_NET_BROADCAST CAP_PERFMON CAP_SYSLOG CAP_SYS_BOOT CAP_SYS_PACCT CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM

[Install]
WantedBy=multi-user.target
`,
  );
});

test('an agent gives way by the program of before, also after a reboot, and only while a trial is under way', () => {
  const text = agentUpdateUnit(['/before/node', '/before/nodekiln']);
  for (const line of [
    'ConditionPathExists=/var/lib/nodekiln/agent/update/trial.json',
    'Type=exec',
    'Restart=on-failure',
    'UMask=0077',
    'WantedBy=multi-user.target',
  ])
    assert.ok(text.split('\n').includes(line), line);
  assert.match(text, /ExecStart=\/before\/node \\\n {2}\/before\/nodekiln \\\n {2}agent \\\n {2}update\n/);
});

test('host keys are made before any SSH server starts, where there are none', () => {
  assert.equal(sshHostKeysUnitName, 'nodekiln-ssh-host-keys.service');
  assert.equal(
    sshHostKeysUnit(),
    `[Unit]
Description=nodekiln: make this machine’s SSH host keys
Before=ssh.service sshd.service ssh.socket sshd.socket
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen \\
  -A

[Install]
WantedBy=multi-user.target
`,
  );
});
