/**
 * What one machine, its cloud and the tools that made it leave in its root, each with the reason why no other machine may
 * find it there. `seal` removes it, `verify` looks for it. Pure.
 *
 * Patterns are absolute host paths; `*` stands for any part of one name, a last `**` for everything in a folder that
 * itself stays, `~` for every home. Accounts stay, and so does what somebody configured: only what is made for or by one
 * machine goes. Sources: machine-id(5), systemd-random-seed.service(8), systemd-creds(1), `cloud-init clean`, sshd(8), the
 * state folders of each agent as its own documentation names them, `waagent -deprovision`, virt-sysprep(1), the clean-up
 * of image-builder, EC2 Image Builder and the images of EKS, ECS and AKS.
 */

export interface Trace {
  readonly id: string;
  readonly title: string;
  /** Why no other machine may find it, in a line. */
  readonly why: string;
  /** `identity`: two machines with it are in each other's way, or open to each other. `residue`: only of no use. */
  readonly class: 'identity' | 'residue';
  readonly patterns: readonly string[];
  /** Names in the last part that stay. */
  readonly except?: RegExp;
  /** Only in a root folder: on a running machine these are in use and gone at its next start. */
  readonly offlineOnly?: true;
}

export const traces: readonly Trace[] = [
  // ── the machine itself ──
  identity('dbus-machine-id', 'D-Bus machine id', 'two machines with one id get one address and one journal', [
    '/var/lib/dbus/machine-id',
  ]),
  identity('ssh-host-keys', 'SSH host keys', 'who has one machine’s key can pass for every other', [
    '/etc/ssh/ssh_host_*',
    '/etc/dropbear/dropbear_*_host_key',
  ]),
  identity('authorized-keys', 'SSH keys that are let in', 'whoever built the image would get into every machine', [
    '~/.ssh/authorized_keys*',
  ]),
  identity('ssh-client-keys', 'SSH keys of users', 'every machine could log in where the builder could', [
    '~/.ssh/id_*',
    '~/.ssh/google_compute_engine*',
  ]),
  identity('host-name', 'host name', 'a kubelet takes it for the name of its Node', ['/etc/hostname', '/etc/HOSTNAME']),
  identity('cloud-init', 'state of cloud-init', 'it would take the next machine for the one it has set up already', [
    '/var/lib/cloud/instance',
    '/var/lib/cloud/instances',
    '/var/lib/cloud/data/**',
    '/var/lib/cloud/sem/**',
    '/var/lib/cloud/handlers/**',
  ]),
  identity(
    'cloud-init-configuration',
    'what cloud-init configured',
    'addresses and rights are those of the first machine',
    [
      '/etc/netplan/50-cloud-init.yaml',
      '/etc/network/interfaces.d/50-cloud-init*',
      '/etc/NetworkManager/system-connections/cloud-init-*.nmconnection',
      '/etc/systemd/network/10-cloud-init-*.network',
      '/etc/udev/rules.d/85-persistent-net-cloud-init.rules',
      '/etc/ssh/sshd_config.d/50-cloud-init.conf',
      '/etc/sudoers.d/90-cloud-init-users',
    ],
  ),
  identity(
    'installer',
    'answers given to an installer',
    'they hold password hashes, and pin cloud-init to one machine',
    [
      '/etc/cloud/cloud.cfg.d/99-installer.cfg',
      '/etc/cloud/cloud.cfg.d/90-installer-network.cfg',
      '/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg',
      '/var/log/installer/**',
      '/var/log/anaconda/**',
      '/root/anaconda-ks.cfg',
      '/root/original-ks.cfg',
      '/root/initial-setup-ks.cfg',
      '/root/ks-*.log',
      '/root/install.log*',
    ],
  ),
  identity('leases', 'DHCP leases and identifiers', 'two machines would ask for one address', [
    '/var/lib/dhcp/**',
    '/var/lib/dhclient/**',
    '/var/lib/dhcpcd/**',
    '/var/lib/dhcpcd5/**',
    '/var/lib/dhcpd/**',
    '/var/lib/wicked/**',
    '/etc/dhcpcd.duid',
    '/etc/dhcpcd.secret',
    '/var/lib/NetworkManager/*.lease',
    '/var/lib/NetworkManager/secret_key',
    '/var/lib/NetworkManager/seen-bssids',
    '/var/lib/NetworkManager/timestamps',
    '/var/lib/systemd/network/**',
  ]),
  identity(
    'network-names',
    'names of network interfaces',
    'they are bound to the addresses of one machine’s hardware',
    ['/etc/udev/rules.d/70-persistent-net.rules', '/etc/udev/rules.d/70-persistent-cd.rules'],
  ),
  identity('random-seed', 'random seed', 'two machines would begin with the same randomness', [
    '/var/lib/systemd/random-seed',
    '/var/lib/urandom/random-seed',
    '/var/lib/random-seed',
    '/var/lib/misc/random-seed',
    '/boot/loader/random-seed',
    '/boot/efi/loader/random-seed',
    '/efi/loader/random-seed',
  ]),
  identity('credential-secret', 'key of systemd credentials', 'it opens what any of the machines has sealed', [
    '/var/lib/systemd/credential.secret',
    '/var/lib/systemd/tpm2-srk-public-key.*',
  ]),
  identity('kubelet', 'credentials and state of kubelet', 'two machines would be one Node of the cluster', [
    '/var/lib/kubelet/pki',
    '/var/lib/kubelet/kubeconfig*',
    '/var/lib/kubelet/bootstrap-kubeconfig*',
    '/var/lib/kubelet/*_state',
    '/var/lib/kubelet/pods/**',
    '/var/lib/kubelet/plugins/**',
    '/var/lib/kubelet/plugins_registry/**',
    '/var/lib/kubelet/device-plugins/**',
    '/var/lib/kubelet/pod-resources/**',
    '/var/lib/kubelet/checkpoints/**',
    '/etc/kubernetes/kubelet.conf',
    '/etc/kubernetes/bootstrap-kubelet.conf',
    '/etc/kubernetes/bootstrap-kubeconfig',
  ]),
  identity('cluster-keys', 'keys of a cluster’s control plane', 'who has them is the cluster’s administrator', [
    '/etc/kubernetes/admin.conf',
    '/etc/kubernetes/super-admin.conf',
    '/etc/kubernetes/controller-manager.conf',
    '/etc/kubernetes/scheduler.conf',
    '/etc/kubernetes/pki/*.key',
    '/etc/kubernetes/pki/etcd/*.key',
    '~/.kube/config',
    '~/.kube/cache',
    '/etc/rancher/k3s/k3s.yaml',
    '/etc/rancher/rke2/rke2.yaml',
    '/etc/rancher/node/**',
    '/var/lib/rancher/*/server/token',
    '/var/lib/rancher/*/server/*-token',
    '/var/lib/rancher/*/server/cred/**',
    '/var/lib/rancher/*/server/tls/**',
    '/var/lib/rancher/*/agent/*.key',
    '/var/lib/rancher/*/agent/*.kubeconfig',
    '/var/lib/k0s/pki/**',
  ]),
  identity('cluster-data', 'data of a cluster', 'two machines would be one member, with everybody’s secrets', [
    '/var/lib/etcd/member/**',
    '/var/lib/rancher/*/server/db/**',
    '/var/lib/k0s/etcd/**',
  ]),
  identity('containers', 'containers and their networks', 'addresses and names are taken that nobody uses', [
    '/var/lib/containerd/io.containerd.runtime.v2.task/**',
    '/var/lib/containerd/io.containerd.grpc.v1.cri/containers/**',
    '/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/**',
    '/var/lib/cni/**',
    '/var/lib/calico/**',
    '/var/lib/weave/**',
    '/var/lib/docker/containers/**',
    '/var/lib/docker/swarm/**',
    '/etc/docker/key.json',
  ]),
  identity('storage-names', 'names in storage networks', 'two machines with one name write to one disk', [
    '/etc/iscsi/initiatorname.iscsi',
    '/var/lib/iscsi/nodes/**',
    '/var/lib/iscsi/send_targets/**',
    '/etc/nvme/hostnqn',
    '/etc/nvme/hostid',
  ]),
  identity('disk-names', 'disks known by their identity', 'disks of other machines would not be used', [
    '/etc/lvm/devices/system.devices',
    '/etc/lvm/devices/backup/**',
    '/etc/lvm/archive/**',
    '/etc/lvm/backup/**',
    '/etc/multipath/wwids',
    '/etc/multipath/bindings',
    '/etc/blkid.tab*',
    '/etc/blkid/blkid.tab*',
  ]),
  identity(
    'fetch-credentials',
    'credentials that artifacts were fetched with',
    'every machine could fetch, or push, as the builder',
    [
      '~/.docker/config.json',
      '~/.config/containers/auth.json',
      '~/.netrc',
      '~/.git-credentials',
      '~/.npmrc',
      '~/.pypirc',
      '~/.config/gh/hosts.yml',
      '~/.vault-token',
      '~/.vault_pass*',
      '~/.cargo/credentials*',
      '~/.terraform.d/credentials.tfrc.json',
      '~/.gnupg/private-keys-v1.d/**',
      '~/.gnupg/secring.gpg',
    ],
  ),
  identity(
    'boot-records',
    'records of nodekiln about this machine',
    'the next machine’s first boot would be a second one',
    ['/var/lib/nodekiln/boot'],
  ),

  // ── clouds ──
  identity('cloud-credentials', 'credentials of clouds', 'every machine could act in the builder’s account', [
    '~/.aws/credentials',
    '~/.aws/cli/cache/**',
    '~/.aws/sso/cache/**',
    '~/.azure/**',
    '~/.config/gcloud/**',
    '~/.boto',
    '/etc/boto.cfg',
    '~/.oci/**',
    '~/.config/openstack/clouds.yaml',
    '~/.config/doctl/config.yaml',
    '~/.config/hcloud/cli.toml',
    '~/.alibabacloud/credentials',
    '~/.aliyun/config.json',
  ]),
  identity(
    'azure',
    'state of Azure’s agent',
    'certificates and goal state are one machine’s, and it would not be set up anew',
    [
      '/var/lib/waagent/**',
      '/var/lib/hyperv/**',
      '/etc/kubernetes/azure.json',
      '/var/lib/azure-proxy-agent/keys/**',
      '/etc/kubernetes/certs/*.key',
      '/opt/azure/containers/provision.complete',
    ],
  ),
  identity('aws', 'state of Amazon’s agents', 'two machines would be one managed or container instance', [
    '/var/lib/amazon/ssm/Vault/**',
    '/var/lib/amazon/ssm/registration',
    '/var/lib/amazon/ssm/credentials',
    '/var/lib/amazon/ssm/i-*',
    '/var/lib/amazon/ssm/mi-*',
    '/var/lib/amazon/ssm/ipc/**',
    '/var/lib/amazon/ssm/runtimeconfig/**',
    '/var/lib/amazon/toe/**',
    '/var/lib/ecs/data/**',
    '/var/lib/cfn-hup/**',
    '/var/lib/cfn-init/**',
    '/opt/codedeploy-agent/deployment-root/**',
    '/etc/codedeploy-agent/conf/codedeploy.onpremises.yml',
  ]),
  identity('gcp', 'state of Google’s guest agent', 'it would take the next machine for the one it has set up already', [
    '/etc/instance_id',
    '/etc/default/instance_configs.cfg',
    '/etc/sudoers.d/google_sudoers',
    '/var/lib/google/**',
  ]),
  identity(
    'openstack',
    'state of OpenStack’s agents',
    'it holds the keys of one stack, whose deployments would run again',
    [
      '/var/lib/heat-config/**',
      '/var/lib/heat-cfntools/**',
      '/var/lib/os-collect-config/**',
      '/etc/os-collect-config.conf',
    ],
  ),
  identity('vmware', 'keys and state of VMware’s tools', 'the key lets one machine pass for another towards its host', [
    '/etc/vmware-tools/GuestProxyData/**',
    '/root/.customization/**',
    '/.guest-customization-post-reboot-pending',
  ]),

  // ── tools that make and keep machines ──
  identity('builders', 'rights of image builders', 'their accounts would be root everywhere', [
    '/etc/sudoers.d/packer*',
    '/etc/sudoers.d/vagrant*',
    '/etc/sudoers.d/99_vagrant*',
  ]),
  identity('puppet', 'certificate and state of Puppet', 'two machines would be one node to its server', [
    '/etc/puppetlabs/puppet/ssl/**',
    '/etc/puppetlabs/puppet/csr_attributes.yaml',
    '/opt/puppetlabs/puppet/cache/**',
    '/etc/puppet/ssl/**',
    '/var/lib/puppet/**',
  ]),
  identity('chef', 'key and state of Chef', 'two machines would be one client to its server', [
    '/etc/chef/*.pem',
    '/etc/chef/encrypted_data_bag_secret',
    '/etc/cinc/*.pem',
    '/var/chef/**',
    '/var/cinc/**',
  ]),
  identity('salt', 'key and name of a Salt minion', 'two machines would be one minion to its master', [
    '/etc/salt/minion_id',
    '/etc/salt/pki/minion/minion.*',
    '/var/cache/salt/**',
  ]),
  identity('cfengine', 'key of CFEngine', 'two machines would be one host to its hub', [
    '/var/cfengine/ppkeys/localhost.*',
  ]),
  identity('subscriptions', 'subscriptions of a distribution', 'the machines would use up or share one machine’s', [
    '/etc/pki/consumer/**',
    '/etc/pki/entitlement/**',
    '/etc/sysconfig/rhn/systemid',
    '/var/lib/rhsm/cache/**',
    '/var/lib/rhsm/facts/**',
    '/etc/insights-client/machine-id',
    '/etc/insights-client/.registered',
    '/etc/SUSEConnect',
    '/etc/zypp/credentials.d/**',
    '/var/lib/zypp/AnonymousUniqueId',
    '/var/lib/ubuntu-advantage/private/**',
    '/etc/apt/auth.conf.d/90ubuntu-advantage',
    '/var/lib/yum/uuid',
    '/etc/yum/vars/uuid',
    '/etc/dnf/vars/uuid',
    '/etc/smolt/*uuid',
  ]),
  identity('directory-services', 'accounts in a directory', 'two machines would be one member of the domain', [
    '/etc/krb5.keytab',
    '/var/lib/sss/db/**',
    '/var/lib/sss/mc/**',
    '/var/lib/sss/secrets/**',
    '/var/lib/samba/private/**',
    '/var/lib/samba/*.tdb',
  ]),
  identity(
    'agents',
    'identities of networks and watchers',
    'two machines would be one to the service that knows them',
    [
      '/var/lib/tailscale/**',
      '/var/lib/zerotier-one/identity.*',
      '/var/lib/teleport/**',
      '/etc/datadog-agent/auth_token',
      '/opt/CrowdStrike/falconstore*',
      '/var/lib/landscape/client/**',
      '/var/lib/filebeat/**',
      '/var/lib/metricbeat/**',
      '/var/ossec/etc/client.keys',
      '/etc/qualys/hostid',
    ],
  ),

  // ── residue ──
  residue('downloads', 'unfinished downloads', 'nobody goes on with them', ['/var/lib/nodekiln/downloads']),
  residue('package-caches', 'caches of package managers', 'they are old when a machine starts, and take space', [
    '/var/cache/apt/archives/*.deb',
    '/var/cache/apt/archives/partial/**',
    '/var/cache/apt/*.bin',
    '/var/lib/apt/lists/**',
    '/var/cache/dnf/**',
    '/var/cache/libdnf5/**',
    '/var/cache/tdnf/**',
    '/var/cache/yum/**',
    '/var/cache/zypp/**',
    '/var/cache/PackageKit/**',
    '/var/lib/yum/history/**',
    '/var/lib/dnf/repos/*/countme',
  ]),
  residue('user-caches', 'caches of users and their tools', 'they are of what was done once', [
    '~/.cache/**',
    '~/.npm/_cacache/**',
    '~/.ansible/**',
    '~/.ansible_async/**',
    '~/.packer.d/**',
  ]),
  residue('logs', 'logs', 'they tell of another machine', [
    '/var/log/journal/**',
    '/var/log/pods/**',
    '/var/log/containers/**',
    '/var/log/amazon/**',
    '/var/log/azure/**',
    '/var/log/sa/**',
    '/var/log/sysstat/**',
    '/var/log/**/*.gz',
    '/var/log/**/*.xz',
    '/var/log/**/*.bz2',
    '/var/log/**/*.zst',
    '/var/log/**/*.old',
    '/var/log/**/*.[0-9]',
    '/var/log/**/*-20[0-9][0-9][0-9][0-9][0-9][0-9]',
    '/var/log/cloud-init*',
    '/var/log/waagent*',
    '/var/log/vmware-*',
    '/var/log/cfn-*',
    '/var/account/*',
    '/opt/aws/amazon-cloudwatch-agent/logs/**',
    '/var/lib/rsyslog/imjournal.state',
  ]),
  residue(
    'histories',
    'histories of shells and programs',
    'they tell what builders did, now and then with a password',
    [
      '~/.*_history',
      '~/.local/share/fish/fish_history',
      '~/.lesshst',
      '~/.viminfo',
      '~/.wget-hsts',
      '~/.ssh/known_hosts*',
      '~/.sudo_as_admin_successful',
    ],
  ),
  residue('account-backups', 'earlier versions of the accounts', 'they keep the password hashes of before', [
    '/etc/passwd-',
    '/etc/shadow-',
    '/etc/group-',
    '/etc/gshadow-',
    '/etc/subuid-',
    '/etc/subgid-',
  ]),
  residue('clock', 'what is known of the clock', 'it is how one machine’s clock goes', [
    '/var/lib/chrony/drift',
    '/var/lib/ntp/*drift*',
    '/var/lib/ntpsec/*drift*',
  ]),
  residue('schedules', 'when jobs ran last', 'the next machine would leave out what is due', [
    '/var/lib/systemd/timers/stamp-*',
    '/var/spool/anacron/*',
    '/var/lib/logrotate/*status',
    '/var/lib/logrotate.status',
  ]),
  residue('mail', 'mail', 'it is to somebody who was there', ['/var/mail/**', '/var/spool/mail/**']),
  residue('crash-dumps', 'crash dumps', 'they hold what was in memory', [
    '/var/lib/systemd/coredump/**',
    '/var/lib/systemd/pstore/**',
    '/var/lib/apport/coredump/**',
    '/var/spool/abrt/**',
    '/var/crash/**',
  ]),
  {
    ...residue('temporary-files', 'temporary files', 'whoever wrote them is gone', ['/tmp/**', '/var/tmp/**']),
    except: /^(systemd-private-.*|\.(X11|ICE|XIM|font)-unix)$/,
  },
  { ...residue('runtime-files', 'files of /run', 'they hold for one start', ['/run/**']), offlineOnly: true },
];

function identity(id: string, title: string, why: string, patterns: readonly string[]): Trace {
  return { id, title, why, class: 'identity', patterns: patterns.flatMap(inHomes) };
}

function residue(id: string, title: string, why: string, patterns: readonly string[]): Trace {
  return { id, title, why, class: 'residue', patterns: patterns.flatMap(inHomes) };
}

function inHomes(pattern: string): string[] {
  return pattern.startsWith('~/') ? ['/root', '/home/*'].map((home) => `${home}${pattern.slice(1)}`) : [pattern];
}
