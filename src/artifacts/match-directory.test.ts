import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { matchDirectory } from './match-directory.ts';
import { buildDeb, buildRpm, removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));

describe('matchDirectory', () => {
  const host = createLinuxHost();

  it('goes by the metadata of real packages, whatever the files are called', async () => {
    const debs = join(folder, 'debs');
    mkdirSync(debs);
    const files = { 'usr/bin/kubelet': 'x' };
    buildDeb(debs, { name: 'kubelet', version: '1.34.1', release: 'ubuntu22.04u1', files });
    buildDeb(debs, { name: 'kubelet', version: '1.34.1', release: 'ubuntu22.04u2', files }, 'zstd');
    buildDeb(debs, { name: 'kubelet', version: '1.34.1', release: 'ubuntu22.04u9', architecture: 'arm64', files });
    buildDeb(debs, { name: 'kubelet-convert', version: '1.34.1', release: 'ubuntu22.04u3', files });
    writeFileSync(join(debs, 'kubelet_1.34.1-ubuntu22.04u99_amd64.deb'), 'not a package');
    writeFileSync(join(debs, 'readme.txt'), '');
    const choice = await matchDirectory(host, debs, {
      kind: 'deb',
      component: 'kubelet',
      version: '1.34.1',
      architecture: 'x86_64',
    });
    assert.equal(choice.chosen?.file, 'kubelet_1.34.1-ubuntu22.04u2_amd64.deb');
    assert.deepEqual(
      choice.passedOver.map((one) => one.file),
      [
        'kubelet-convert_1.34.1-ubuntu22.04u3_amd64.deb',
        'kubelet_1.34.1-ubuntu22.04u1_amd64.deb',
        'kubelet_1.34.1-ubuntu22.04u99_amd64.deb',
        'kubelet_1.34.1-ubuntu22.04u9_arm64.deb',
        'readme.txt',
      ],
    );
    const rpms = join(folder, 'rpms');
    mkdirSync(rpms);
    buildRpm(rpms, { name: 'kubelet', version: '1.34.8', release: '2.azl3', epoch: 1, files });
    buildRpm(rpms, { name: 'kubelet', version: '1.34.8', release: '10.azl3', epoch: 1, files });
    assert.equal(
      (
        await matchDirectory(host, rpms, {
          kind: 'rpm',
          component: 'kubelet',
          version: '1.34.8',
          architecture: 'amd64',
        })
      ).chosen?.version,
      '1:1.34.8-10.azl3',
    );
    await assert.rejects(
      matchDirectory(host, join(folder, 'absent'), {
        kind: 'rpm',
        component: 'kubelet',
        version: '1.34.8',
        architecture: 'amd64',
      }),
      (thrown) => thrown instanceof NodekilnError && thrown.code === 'NK_ARTIFACT_MISSING',
    );
  });
});
