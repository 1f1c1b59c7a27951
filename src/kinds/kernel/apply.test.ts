/** Effects of kernel settings on a machine in memory, whose /proc is files. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { createMemoryMachine } from '../../host/memory/machine.ts';
import type { KernelResource } from '../../model/resources.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { sysctl } from '../../../test/support/planning.ts';

const policy = { scope: 'node', deferrable: false, importance: 'required', needs: [] } as const;
const module = (name: string): KernelResource => ({
  ...policy,
  kind: 'kernel',
  id: `kernel:module/${name}`,
  setting: { type: 'module', name },
});
const forward = '/proc/sys/net/ipv4/ip_forward';

let engine: Engine;
beforeEach(async () => {
  engine = await createEngine();
  await engine.put(forward, '0\n');
});

describe('a sysctl', () => {
  test('is written once, in one call, and left alone when it is right', async () => {
    await engine.applied([sysctl('net.ipv4.ip_forward')]);
    assert.equal((await engine.text(forward))?.trim(), '1');
    engine.effects();
    await engine.applied([sysctl('net.ipv4.ip_forward')]);
    assert.deepEqual(engine.effects(), []);
  });

  test('of several numbers is right however they are separated', async () => {
    await engine.put('/proc/sys/net/ipv4/tcp_rmem', '4096\t131072\t6291456\n');
    const rmem: KernelResource = {
      ...sysctl('net.ipv4.tcp_rmem'),
      setting: { type: 'sysctl', key: 'net.ipv4.tcp_rmem', value: '4096 131072 6291456' },
    };
    await engine.applied([rmem]);
    assert.deepEqual(engine.effects(), []);
  });

  test('of an interface whose name holds a dot finds its place', async () => {
    const place = '/proc/sys/net/ipv4/conf/eth0.100/rp_filter';
    await engine.put(place, '0\n');
    for (const key of ['net.ipv4.conf.eth0/100.rp_filter', 'net/ipv4/conf/eth0.100/rp_filter']) {
      await engine.put(place, '0\n');
      await engine.applied([sysctl(key)]);
      assert.equal((await engine.text(place))?.trim(), '1', key);
    }
  });

  test('that the kernel does not have, or does not take, is an error', async () => {
    const absent = await engine.apply([sysctl('net.ipv4.no_such_key')]);
    assert.deepEqual([absent.outcome, absent.error?.code], ['failed', 'NK_KERNEL_SETTING']);
    const { host, machine } = engine;
    const writeKernel = (path: string): Promise<void> => host.files.writeKernel(path, '0');
    const stubborn = await createEngine(machine, { ...host, files: { ...host.files, writeKernel } });
    const clamped = await stubborn.apply([sysctl('net.ipv4.ip_forward')]);
    assert.match(clamped.error?.message ?? '', /reads back as 0 after it was set to 1/);
  });

  test('is set after systemd’s own, which may be older', async () => {
    const { machine } = engine;
    const unit = (about: string): string =>
      `[Unit]\nDefaultDependencies=no\n${about}[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/x\n`;
    await engine.put(
      '/usr/lib/systemd/system/sysinit.target',
      '[Unit]\nWants=systemd-sysctl.service\nAfter=systemd-sysctl.service\n',
    );
    await engine.put('/usr/lib/systemd/system/systemd-sysctl.service', unit(''));
    machine.units.behave('systemd-sysctl.service', {
      startMs: 2000,
      onActive: () => void engine.put(forward, '0\n'),
    });
    await machine.units.start('sysinit.target');
    await engine.applied([sysctl('net.ipv4.ip_forward')]);
    await machine.clock.sleep(5000);
    assert.equal((await engine.text(forward))?.trim(), '1');
  });
});

describe('a module', () => {
  test('is loaded when it is neither loaded nor built in, before the settings that need it', async () => {
    const { machine } = engine;
    const place = '/proc/sys/net/bridge/bridge-nf-call-iptables';
    machine.program('modprobe', async ({ argv, files }) => {
      await files.write([{ type: 'directory', path: `/sys/module/${argv[1]}`, mode: 0o755, uid: 0, gid: 0 }]);
      await engine.put(place, '0\n');
      return {};
    });
    await engine.applied([sysctl('net.bridge.bridge-nf-call-iptables'), module('br_netfilter')]);
    assert.equal((await engine.text(place))?.trim(), '1');
    engine.effects();
    await engine.applied([module('br_netfilter')]);
    assert.deepEqual(engine.effects(), []);
  });

  const builtin: readonly (readonly [string, string, string])[] = [
    ['with parameters', '/sys/module/overlay/parameters/x', ''],
    ['as the kernel’s package lists', '/lib/modules/6.1.0/modules.builtin', 'kernel/fs/overlayfs/overlay.ko\n'],
    ['as a file system', '/proc/filesystems', 'nodev\tproc\nnodev\toverlay\n'],
  ];
  for (const [how, path, content] of builtin) {
    test(`that is built in ${how} is not loaded`, async () => {
      await engine.put('/proc/sys/kernel/osrelease', '6.1.0\n');
      await engine.put(path, content);
      await engine.applied([module('overlay')]);
      assert.deepEqual(engine.effects(), []);
    });
  }

  test('that cannot be loaded says what modprobe said; one that need not be loaded degrades', async () => {
    engine.machine.program('modprobe', () => ({ status: 1, stderr: 'modprobe: FATAL: Module odd not found\n' }));
    const { outcome, error } = await engine.apply([module('odd')]);
    assert.deepEqual([outcome, error?.code], ['failed', 'NK_KERNEL_SETTING']);
    assert.deepEqual(error?.lines, ['modprobe: FATAL: Module odd not found']);
    const second = await engine.apply([{ ...module('odd'), importance: 'bestEffort' }]);
    assert.equal(second.outcome, 'degraded');
  });
});

describe('a root folder', () => {
  test('has no kernel of its own: nothing is set', async () => {
    const offline = await createEngine(createMemoryMachine({ systemd: false }));
    await offline.put(forward, '0\n');
    await offline.applied([sysctl('net.ipv4.ip_forward'), module('overlay')]);
    assert.equal((await offline.text(forward))?.trim(), '0');
  });
});
