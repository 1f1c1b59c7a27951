import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { extensionImageForm, parseRelease, pullsUnits, releaseMismatch, superblockBytes } from './extension.ts';

const debian = 'PRETTY_NAME="Debian GNU/Linux 13"\nID=debian\nVERSION_ID="13"\n';
const rolling = 'ID=arch\n';
const leveled = 'ID=flatcar\nVERSION_ID=4593.0.0\nSYSEXT_LEVEL=1.0\n';

describe('the form of an image', () => {
  const squashfs = Buffer.alloc(superblockBytes);
  squashfs.write('hsqs');
  squashfs.writeBigUInt64LE(5_000_000_123n, 40);
  const erofs = Buffer.alloc(superblockBytes);
  erofs.writeUInt32LE(0xe0f5e1e2, 1024);
  erofs.writeUInt8(12, 1024 + 12);
  erofs.writeUInt32LE(7, 1024 + 36);

  test('and its size are read from its superblock', () => {
    assert.deepEqual(extensionImageForm(squashfs), { form: 'squashfs', bytes: 5_000_000_123 });
    assert.deepEqual(extensionImageForm(erofs), { form: 'erofs', bytes: 28_672 });
  });
  test('is unknown for anything else, however short', () => {
    assert.equal(extensionImageForm(Buffer.from('<html>')), undefined);
    assert.equal(extensionImageForm(Buffer.alloc(0)), undefined);
    assert.equal(extensionImageForm(erofs.subarray(0, 1100)), undefined);
    assert.equal(extensionImageForm(Buffer.alloc(superblockBytes)), undefined);
  });
});

describe('an extension fits a host', () => {
  const rows: readonly [extension: string, host: string, why: RegExp | undefined][] = [
    ['ID=_any\n', debian, undefined],
    ['ID="_any"\nARCHITECTURE=x86-64\n', debian, undefined],
    ['ID=_any\nARCHITECTURE=_any\n', debian, undefined],
    ['ID=_any\nARCHITECTURE=arm64\n', debian, /for arm64, this host is x86-64/],
    ['ID=debian\nVERSION_ID=13\n', debian, undefined],
    ["ID='debian'\nVERSION_ID='13'\n", debian, undefined],
    ['ID=debian\nVERSION_ID=12\n', debian, /for debian 12, this host is debian 13/],
    ['ID=debian\n', debian, /without a version/],
    ['ID=ubuntu\nVERSION_ID=13\n', debian, /for ubuntu, this host is debian/],
    ['VERSION_ID=13\n', debian, /names no ID/],
    ['', debian, /names no ID/],
    ['ID=arch\n', rolling, undefined],
    ['ID=flatcar\nSYSEXT_LEVEL=1.0\n', leveled, undefined],
    ['ID=flatcar\nSYSEXT_LEVEL=2.0\n', leveled, /level 2\.0 of flatcar, this host has 1\.0/],
    ['ID=flatcar\nVERSION_ID=4593.0.0\n', leveled, undefined],
    ['ID=debian\nSYSEXT_LEVEL=1.0\n', debian, /without a version/],
    ['ID=_any\nSYSEXT_SCOPE=initrd\n', debian, /for initrd/],
    ['ID=_any\nSYSEXT_SCOPE="initrd system"\n', debian, undefined],
  ];
  for (const [extension, host, why] of rows) {
    test(`${JSON.stringify(extension)} on ${parseRelease(host).get('ID') ?? ''}: ${why ? String(why) : 'yes'}`, () => {
      const mismatch = releaseMismatch(parseRelease(extension), parseRelease(host), 'x86-64');
      if (why) assert.match(mismatch ?? '', why);
      else assert.equal(mismatch, undefined);
    });
  }
});

test('drop-ins that pull in units are told from those that do not', () => {
  for (const text of [
    '[Unit]\nUpholds=kubelet.service\n',
    '[Unit]\n Wants = kubelet.service',
    '[Unit]\nRequires=a.service b.service\n',
    '[Unit]\nBindsTo=a.service\n',
  ])
    assert.ok(pullsUnits(text), text);
  for (const text of ['[Unit]\nAfter=kubelet.service\n', '[Unit]\n#Upholds=kubelet.service\n', '[Unit]\nWants=\n', ''])
    assert.ok(!pullsUnits(text), text);
});
