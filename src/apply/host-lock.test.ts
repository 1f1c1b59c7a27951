import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createLinuxHost } from '../host/linux/host.ts';
import { takeHostLock } from './host-lock.ts';

describe('a host lock that cannot be had', () => {
  let root = '';
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'nodekiln-host-lock-'))));
  afterEach(() => rmSync(root, { recursive: true }));
  const refused = { code: 'NK_STATE_UNUSABLE', message: /^the host lock cannot be had: / };

  it('because its file cannot be made is of the state', async () => {
    mkdirSync(join(root, 'var/lib/nodekiln/lock.db'), { recursive: true });
    await assert.rejects(takeHostLock(createLinuxHost({ root }), { waitMs: 0 }), refused);
  });

  it('because its folder cannot be made is, too', async () => {
    mkdirSync(join(root, 'var/lib'), { recursive: true });
    writeFileSync(join(root, 'var/lib/nodekiln'), '');
    await assert.rejects(takeHostLock(createLinuxHost({ root }), { waitMs: 0 }), refused);
  });

  it('because another has it says so', async () => {
    const held = await takeHostLock(createLinuxHost({ root }), { waitMs: 0 });
    await assert.rejects(takeHostLock(createLinuxHost({ root }), { waitMs: 0 }), { code: 'NK_STATE_LOCKED' });
    held.release();
  });
});
