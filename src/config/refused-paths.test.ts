import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDocuments } from '../documents/check.ts';
import { whyRefused } from './refused-paths.ts';

/** What a check says of one file in a NodeConfig. */
async function check(path: string, spec: Readonly<Record<string, unknown>> = {}): Promise<string[]> {
  const files = [{ path, content: 'x' }];
  const document = {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: { kubernetes: { version: '1.34.3' }, files, ...spec },
  };
  const { problems } = await checkDocuments([{ file: 'node.json', text: JSON.stringify(document) }]);
  for (const { place } of problems) assert.match(place?.path ?? '', /^spec\.files\[0\]/);
  return problems.map(({ message }) => message);
}

describe('a file of a document', () => {
  const refused: Record<string, RegExp> = {
    '/proc/sys/kernel/domainname': /is a setting of the kernel: it goes into `kernel.sysctls`$/,
    '/proc/cmdline': /is of the kernel/,
    '/proc': /is of the kernel/,
    '/proc/': /is of the kernel/,
    '/sys/module/overlay': /modules go into `kernel.modules`$/,
    '/sys/fs/cgroup/x': /is of the kernel/,
    '/dev/null': /is of the kernel/,
    '/var/lib/nodekiln': /is nodekiln’s own state$/,
    '/var/lib/nodekiln/state.db': /is nodekiln’s own state$/,
    '/var/lib/nodekiln/lock.db': /is nodekiln’s own state$/,
    '/opt/nodekiln/cache/index.json': /own index of the cache$/,
    '/opt/nodekiln/image.lock.json': /own record of the image$/,
  };
  for (const [path, why] of Object.entries(refused))
    it(`is refused at ${path}`, async () => {
      const [message = '', ...others] = await check(path);
      assert.match(message, why);
      assert.ok(message.startsWith(`path cannot be ${path}: it `), message);
      assert.deepEqual(others, []);
    });

  const allowed = [
    '/process',
    '/system/x',
    '/device',
    '/run/x',
    '/opt/nodekiln/bin/nodekiln',
    '/var/lib/nodekiln.d/x',
    '/opt/bin/helper',
  ];
  for (const path of allowed)
    it(`may be ${path}`, async () => {
      assert.deepEqual([whyRefused(path), await check(path)], [undefined, []]);
    });

  const units = [
    {
      name: 'a.service',
      content: '[Service]\nExecStart=/bin/true\n',
      dropIns: [{ name: '10-a.conf', content: '[Unit]\n' }],
    },
  ];
  const ofOthers: Record<string, { spec?: Record<string, unknown>; message: string }> = {
    '/opt/bin/kubelet': { message: 'file:/opt/bin/kubelet and binary:kubelet both write /opt/bin/kubelet' },
    '/opt/bin/kubelet-1.34.3': {
      message: 'file:/opt/bin/kubelet-1.34.3 and binary:kubelet both write /opt/bin/kubelet-1.34.3',
    },
    '/opt/bin': { message: 'file:/opt/bin is a file where binary:kubelet needs a folder' },
    '/etc/systemd/system/kubelet.service': {
      message:
        'file:/etc/systemd/system/kubelet.service and unit:kubelet.service both write /etc/systemd/system/kubelet.service',
    },
    '/etc/systemd/system/a.service': {
      spec: { units },
      message: 'file:/etc/systemd/system/a.service and unit:a.service both write /etc/systemd/system/a.service',
    },
    '/etc/systemd/system/a.service.d/10-a.conf': {
      spec: { units },
      message:
        'file:/etc/systemd/system/a.service.d/10-a.conf and unit:a.service both write /etc/systemd/system/a.service.d/10-a.conf',
    },
    '/etc/kubernetes': { message: 'file:/etc/kubernetes is a file where' },
  };
  for (const [path, { spec, message }] of Object.entries(ofOthers))
    it(`is refused at ${path}, which another resource of the document has`, async () => {
      const messages = await check(path, spec);
      assert.ok(
        messages.some((one) => one.startsWith(message)),
        messages.join('\n'),
      );
    });
});
