/**
 * What the clean-up programs of clouds and image builders take out of a root, operation by operation, and what sealing does about
 * each. The page of traces shows it; `clean-up-lists.test.ts` seals a root that holds it all. Sources: WALinuxAgent's
 * `pa/deprovision`, cloud-init's `cmd/clean.py`, the script in EC2 Image Builder's security best practices, virt-sysprep(1),
 * google-guest-agent's first start, the SSM agent's setup for images.
 */

export interface CleanUpList {
  readonly program: string;
  readonly operations: readonly Operation[];
}

/** Paths are examples of what it takes away: gone after sealing, or, below /var/log, empty. */
export type Operation = { readonly what: string } & (
  | { readonly gone: readonly string[]; readonly left?: string }
  | { readonly left: string }
);

const configured = 'it is what somebody configured, not what a machine has become';
const outside = 'it is no file of a root: whoever makes a disk of the root makes it';

export const cleanUpLists: readonly CleanUpList[] = [
  {
    program: 'waagent -deprovision+user',
    operations: [
      { what: 'SSH host keys', gone: ['/etc/ssh/ssh_host_rsa_key', '/etc/ssh/ssh_host_ed25519_key.pub'] },
      {
        what: 'DHCP leases',
        gone: [
          '/var/lib/dhclient/dhclient.leases',
          '/var/lib/dhcpcd/eth0.lease',
          '/var/lib/dhcp/dhclient.eth0.leases',
          '/var/lib/NetworkManager/dhclient-1-eth0.lease',
        ],
      },
      { what: 'host name', gone: ['/etc/hostname'] },
      { what: 'its own state', gone: ['/var/lib/waagent/ovf-env.xml', '/var/lib/waagent/GoalState.1.xml'] },
      {
        what: 'logs of it and its extensions',
        gone: ['/var/log/azure/custom-script/handler.log', '/var/log/waagent.log'],
      },
      { what: 'root’s history', gone: ['/root/.bash_history'] },
      {
        what: '/etc/resolv.conf',
        left: 'it is as the image has it, mostly a link; whatever brings up the network writes it',
      },
      { what: 'root’s password', left: 'who may log in is configured: a manifest’s checks can demand that nobody can' },
      {
        what: 'the account that was made, with its home',
        left: 'accounts stay; of every home keys, credentials, caches and histories go',
      },
    ],
  },
  {
    program: 'cloud-init clean --logs --machine-id --seed --configs all',
    operations: [
      { what: 'logs', gone: ['/var/log/cloud-init.log', '/var/log/cloud-init-output.log'] },
      {
        what: 'state',
        gone: [
          '/var/lib/cloud/instance',
          '/var/lib/cloud/instances/i-1/user-data.txt',
          '/var/lib/cloud/data/instance-id',
          '/var/lib/cloud/sem/config_scripts_per_once.once',
          '/var/lib/cloud/handlers/part-001',
        ],
      },
      { what: '`scripts`', left: 'what is for each start or each machine was put there for the next ones' },
      {
        what: '`--seed`',
        left: 'a seed is what the next machine is to be told; cloud-init itself keeps it unless asked',
      },
      {
        what: '`--configs network`',
        gone: [
          '/etc/netplan/50-cloud-init.yaml',
          '/etc/NetworkManager/conf.d/99-cloud-init.conf',
          '/etc/NetworkManager/conf.d/30-cloud-init-ip6-addr-gen-mode.conf',
          '/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection',
          '/etc/systemd/network/10-cloud-init-eth0.network',
          '/etc/network/interfaces.d/50-cloud-init.cfg',
        ],
      },
      { what: '`--configs ssh_config`', gone: ['/etc/ssh/sshd_config.d/50-cloud-init.conf'] },
      {
        what: '`--machine-id`',
        left: 'emptied instead: of `uninitialized` systemd makes a very first start, and enables units by its presets',
      },
      { what: '/etc/cloud/clean.d', left: 'programs of a root are not started to seal it' },
    ],
  },
  {
    program: 'EC2 Image Builder',
    operations: [
      {
        what: 'cloud-init',
        gone: ['/etc/sudoers.d/90-cloud-init-users', '/var/lib/cloud/instances/i-2/boot-finished'],
      },
      { what: '/etc/locale.conf', left: configured },
      { what: 'host name', gone: ['/etc/hostname'] },
      {
        what: 'locks and process ids of Postfix',
        gone: ['/var/lib/postfix/master.lock', '/var/spool/postfix/pid/master.pid'],
      },
      {
        what: '/etc/.updated, /var/.updated',
        left: 'they say that these folders fit /usr, which is so; without them a start makes caches anew',
      },
      { what: '/etc/aliases.db and its stamp', left: 'they are made of /etc/aliases, the same everywhere' },
      { what: 'yum’s list of keys', gone: ['/var/cache/yum/x86_64/2/.gpgkeyschecked.yum'] },
      {
        what: 'SSH keys',
        gone: ['/etc/ssh/ssh_host_ecdsa_key', '/root/.ssh/authorized_keys', '/home/ec2-user/.ssh/authorized_keys'],
      },
      { what: 'logs', gone: ['/var/log/audit/audit.log', '/var/log/boot.log', '/var/log/dmesg', '/var/log/cron'] },
      {
        what: 'logs of its steps (TOE)',
        gone: ['/var/lib/amazon/toe/TOE_1/console.log', '/var/tmp/TOE_1/console.log'],
      },
      { what: 'logs of the SSM agent', gone: ['/var/log/amazon/ssm/errors.log'] },
      { what: 'sysstat', gone: ['/var/log/sa/sa01'] },
      { what: 'DHCP leases', gone: ['/var/lib/dhclient/dhclient--eth0.lease'] },
      { what: '/var/tmp', gone: ['/var/tmp/imds'] },
      { what: 'the journal', gone: ['/var/lib/rsyslog/imjournal.state', '/var/log/journal/1/system.journal'] },
    ],
  },
  {
    program: 'google-guest-agent and SSM agent, of a machine they knew',
    operations: [
      { what: 'instance id', gone: ['/etc/instance_id', '/etc/google_instance_id'] },
      { what: 'configuration made for an instance', gone: ['/etc/default/instance_configs.cfg', '/etc/boto.cfg'] },
      { what: 'accounts by metadata', gone: ['/var/lib/google/google_users', '/etc/sudoers.d/google_sudoers'] },
      {
        what: 'OS Login',
        gone: ['/etc/oslogin_passwd.cache', '/var/google-sudoers.d/a'],
        left: 'its settings of sshd, PAM and NSS, which it writes at each start',
      },
      {
        what: 'registration with Systems Manager',
        gone: ['/var/lib/amazon/ssm/Vault/Store/RegistrationKey', '/var/lib/amazon/ssm/registration'],
      },
      { what: 'documents that ran', gone: ['/var/lib/amazon/ssm/i-0/document/state/completed/1'] },
    ],
  },
  {
    program: 'virt-sysprep',
    operations: [
      {
        what: 'abrt-data, crash-data',
        gone: ['/var/spool/abrt/ccpp-1/coredump', '/var/crash/1/vmcore', '/var/log/dump/1'],
      },
      { what: 'backup-files', left: 'a name that ends in `~` or `.bak` says nothing of a machine' },
      { what: 'bash-history', gone: ['/root/.bash_history', '/home/a/.bash_history', '/home/a/.zsh_history'] },
      { what: 'blkid-tab', gone: ['/etc/blkid/blkid.tab', '/etc/blkid.tab.old', '/run/blkid/blkid.tab'] },
      { what: 'ca-certificates, firewall-rules', left: configured },
      { what: 'cron-spool', gone: ['/var/spool/at/a00001'], left: 'tables of cron, which somebody configured' },
      { what: 'customize, script, firstboot, password, timezone', left: 'a bake does this' },
      { what: 'dhcp-client-state', gone: ['/var/lib/dhcp/dhclient.leases'] },
      { what: 'dhcp-server-state', gone: ['/var/lib/dhcpd/dhcpd.leases'] },
      { what: 'dovecot-data', gone: ['/var/lib/dovecot/instances'] },
      { what: 'flag-reconfiguration', left: 'the next start would ask at a console, where nobody is' },
      { what: 'fs-uuids, lvm-uuids', left: outside },
      {
        what: 'ipa-client',
        gone: ['/etc/ipa/default.conf', '/var/lib/ipa-client/sysrestore/sysrestore.state', '/var/lib/ipa-client/pki/1'],
      },
      { what: 'kerberos-data', gone: ['/var/kerberos/krb5kdc/principal', '/var/kerberos/krb5kdc/.k5.EXAMPLE'] },
      { what: 'kerberos-hostkeytab', gone: ['/etc/krb5.keytab'] },
      {
        what: 'logfiles',
        gone: [
          '/var/log/messages',
          '/var/log/secure-20240101',
          '/var/log/wtmp',
          '/var/log/lastlog',
          '/var/log/tallylog',
          '/var/lib/logrotate.status',
          '/root/anaconda-ks.cfg',
          '/root/install.log.syslog',
          '/var/named/data/named.run',
          '/var/lib/fprint/a/1',
          '/etc/Pegasus/server.pem',
        ],
        left: 'caches of fonts and manual pages, the same on every machine; settings of accounts',
      },
      { what: 'lvm-system-devices', gone: ['/etc/lvm/devices/system.devices'] },
      { what: 'machine-id', gone: ['/var/lib/dbus/machine-id'], left: 'emptied is /etc/machine-id' },
      { what: 'mail-spool', gone: ['/var/spool/mail/root', '/var/mail/a'] },
      {
        what: 'net-hostname, net-hwaddr, net-nmconn',
        gone: ['/etc/NetworkManager/system-connections/cloud-init-eth1.nmconnection'],
        left: 'lines in files, and connections, that somebody wrote',
      },
      { what: 'pacct-log', gone: ['/var/account/pacct', '/var/log/account/pacct'] },
      {
        what: 'package-manager-cache',
        gone: ['/var/cache/apt/archives/a.deb', '/var/cache/dnf/a/b', '/var/cache/yum/a', '/var/cache/zypp/a'],
      },
      { what: 'pam-data, utmp', gone: ['/run/faillock/root', '/run/console/a', '/run/utmp'] },
      {
        what: 'passwd-backups',
        gone: ['/etc/passwd-', '/etc/shadow-', '/etc/group-', '/etc/gshadow-', '/etc/subuid-', '/etc/subgid-'],
      },
      { what: 'puppet-data-log', gone: ['/var/lib/puppet/ssl/a', '/var/log/puppet/http.log'] },
      { what: 'rh-subscription-manager', gone: ['/etc/pki/consumer/cert.pem', '/etc/pki/entitlement/1.pem'] },
      { what: 'rhn-systemid', gone: ['/etc/sysconfig/rhn/systemid', '/etc/sysconfig/rhn/osad-auth.conf'] },
      { what: 'rpm-db', gone: ['/var/lib/rpm/__db.001'] },
      {
        what: 'samba-db-log',
        gone: ['/var/lib/samba/private/secrets.tdb', '/var/lib/samba/a.tdb', '/var/log/samba/log.smbd'],
      },
      { what: 'smolt-uuid, yum-uuid', gone: ['/etc/smolt/hw-uuid', '/etc/sysconfig/hw-uuid', '/var/lib/yum/uuid'] },
      { what: 'ssh-hostkeys', gone: ['/etc/ssh/ssh_host_rsa_key'] },
      {
        what: 'ssh-userdir',
        gone: [
          '/root/.ssh/id_rsa',
          '/root/.ssh/known_hosts',
          '/home/a/.ssh/authorized_keys',
          '/home/a/.ssh/deploy',
          '/home/a/.ssh/deploy.pub',
        ],
        left: '`config`, `environment` and `rc`, which somebody configured',
      },
      { what: 'sssd-db-log', gone: ['/var/lib/sss/db/cache.ldb', '/var/log/sssd/sssd.log'] },
      { what: 'tmp-files', gone: ['/tmp/a', '/var/tmp/b'] },
      { what: 'udev-persistent-net', gone: ['/etc/udev/rules.d/70-persistent-net.rules'] },
      { what: 'user-account', left: 'accounts stay: a node has those that its image is given' },
      {
        what: 'last log-ins where they are no logs any more (Debian 13)',
        gone: ['/var/lib/lastlog/lastlog2.db', '/var/lib/wtmpdb/wtmp.db'],
      },
    ],
  },
];
