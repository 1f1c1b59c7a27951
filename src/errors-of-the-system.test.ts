/** What the system refuses is no defect: it has a code, a place and a remedy, whichever errno it is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { asNodekilnError, NodekilnError, systemErrors } from './errors.ts';
import { createLinuxHost } from './host/linux/host.ts';
import type { Files } from './host/port.ts';
import { writeError } from './disk/write-error.ts';

function check(error: NodekilnError, errno: string): void {
  assert.notEqual(error.code, 'NK_INTERNAL', error.message);
  assert.match(error.message, new RegExp(`\\(${errno}\\)$`));
  assert.ok(!error.message.startsWith(errno), error.message);
  assert.equal(error.hint, systemErrors[errno]?.hint);
  assert.ok(error.place ?? error.resource, 'it has a place');
}

describe('an errno', () => {
  for (const errno of Object.keys(systemErrors))
    it(`${errno} has a code, a place and a remedy, in reading and in writing`, () => {
      const thrown = Object.assign(new Error(`${errno}: x, open '/a'`), { code: errno, path: '/a', syscall: 'open' });
      check(asNodekilnError(thrown), errno);
      check(writeError('write', '/a', thrown), errno);
    });

  it('that says nothing to a person is a defect', () => {
    assert.equal(asNodekilnError(Object.assign(new Error('x'), { code: 'EBADF' })).code, 'NK_INTERNAL');
    assert.equal(asNodekilnError(new Error('x')).code, 'NK_INTERNAL');
  });
});

describe('a host', () => {
  let root = '';
  let files: Files;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'nodekiln-errno-'));
    files = createLinuxHost({ root }).files;
    mkdirSync(join(root, 'folder'));
    writeFileSync(join(root, 'file'), 'x');
    symlinkSync('loop', join(root, 'loop'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
  });
  after(() => rmSync(root, { recursive: true }));

  const refusals: Record<string, { errno: string; work: () => Promise<unknown> }> = {
    'reading a folder': { errno: 'EISDIR', work: () => files.read('/folder') },
    'reading a FIFO': { errno: 'EINVAL', work: () => files.read('/fifo') },
    'reading a link to itself': { errno: 'ELOOP', work: () => files.read('/loop') },
    'reading under too long a name': { errno: 'ENAMETOOLONG', work: () => files.read(`/${'n'.repeat(300)}`) },
    'reading more than is taken': { errno: 'EFBIG', work: () => files.read('/file', { maxBytes: 0 }) },
  };
  for (const [name, { errno, work }] of Object.entries(refusals))
    it(`says what ${name} comes to`, async () => {
      const thrown: unknown = await work().then(
        () => undefined,
        (error: unknown) => error,
      );
      const error = asNodekilnError(thrown);
      assert.equal(error.code, 'NK_SYSTEM');
      assert.match(error.message, new RegExp(`\\(${errno}\\)$`));
      assert.ok(!error.message.startsWith(errno), error.message);
      assert.equal(error.hint, systemErrors[errno]?.hint);
    });
});

it('an error as JSON has its cause, but not what a parser quotes', () => {
  const caused = (cause: unknown): unknown => new NodekilnError('NK_INTERNAL', 'x', { cause }).toJSON()['cause'];
  assert.equal(caused(new Error('the disk is gone')), 'the disk is gone');
  assert.equal(caused(new SyntaxError(`Unexpected token 'h', "hunter2"... is not valid JSON`)), undefined);
});
