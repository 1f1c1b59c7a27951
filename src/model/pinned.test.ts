/** Places and words that machines in the field rely on: none of them may change. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { version } from './program.ts';
import * as paths from './state-paths.ts';
import { roleOf, type Step, type StepAction } from './steps.ts';

test('our state lies where it always did', () => {
  assert.deepEqual(
    { ...paths },
    {
      stateFolder: '/var/lib/nodekiln',
      databaseName: 'state.db',
      generationsFolder: '/var/lib/nodekiln/generations',
      originalsFolder: '/var/lib/nodekiln/originals',
      downloadsFolder: '/var/lib/nodekiln/downloads',
      bootResultPath: '/var/lib/nodekiln/boot/result.json',
      lastResultPath: '/var/lib/nodekiln/boot/last.json',
      agentFolder: '/var/lib/nodekiln/agent',
      agentUpdateFolder: '/var/lib/nodekiln/agent/update',
      agentBootstrapPath: '/var/lib/nodekiln/agent-bootstrap.json',
      imageLockPath: '/opt/nodekiln/image.lock.json',
      bootstrapBroughtPath: '/var/lib/nodekiln/bootstrap-brought.json',
      programFolder: '/opt/nodekiln/bin',
    },
  );
});

test('the program is of the version of its package', () => {
  const { version: packaged } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  assert.equal(version, packaged);
});

test('every action has its part in a plan', () => {
  const roles: { readonly [Name in StepAction['do']]: ReturnType<typeof roleOf> } = {
    write: 'entry',
    place: 'artifact',
    reach: 'join',
    remove: 'removal',
    'daemon-reload': 'reload',
    enablement: 'enablement',
    start: 'job',
    restart: 'job',
    reload: 'job',
    stop: 'stop',
    ready: 'join',
    cache: 'artifact',
    activate: 'artifact',
    'forget-cached': 'removal',
    'fetch-extension': 'artifact',
    'merge-extensions': 'artifact',
    import: 'artifact',
    module: 'setting',
    sysctl: 'setting',
    run: 'program',
    release: 'note',
  };
  for (const [name, role] of Object.entries(roles))
    assert.equal(roleOf({ action: { do: name } } as unknown as Step), role, name);
});
