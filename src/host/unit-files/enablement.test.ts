import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { createLinuxFiles } from '../linux/files.ts';
import type { Enablement } from '../port.ts';
import { changeEnablement, readEnablement } from './enablement.ts';

const vendor = '/usr/lib/systemd/system';
const config = '/etc/systemd/system';

function service(install: string): string {
  return `[Service]\nExecStart=/bin/true\n${install === '' ? '' : `[Install]\n${install}\n`}`;
}

/** Path to content; `-> target` makes a symlink. */
const shapes: Readonly<Record<string, string>> = {
  [`${vendor}/plain.service`]: service('WantedBy=multi-user.target'),
  [`${vendor}/static.service`]: service(''),
  [`${config}/local.service`]: service('WantedBy=multi-user.target\nRequiredBy=other.service'),
  [`${vendor}/aliased.service`]: service('WantedBy=multi-user.target\nAlias=nickname.service'),
  [`${vendor}/only-alias.service`]: service('Alias=display.service'),
  [`${vendor}/vendor-alias.service`]: '-> plain.service',
  [`${vendor}/also.service`]: service('WantedBy=multi-user.target\nAlso=also.socket'),
  [`${vendor}/also.socket`]: '[Socket]\nListenStream=/run/x\n[Install]\nWantedBy=sockets.target\n',
  [`${vendor}/indirect.service`]: service('Also=also.socket'),
  [`${vendor}/getty@.service`]: service('WantedBy=getty.target\nDefaultInstance=tty1'),
  [`${vendor}/worker@.service`]: service('WantedBy=multi-user.target'),
  [`${vendor}/masked.service`]: service('WantedBy=multi-user.target'),
  [`${config}/masked.service`]: '-> /dev/null',
  [`${config}/masked-only.service`]: '-> /dev/null',
  [`${vendor}/wanted.service`]: service(''),
  [`${vendor}/multi-user.target.wants/wanted.service`]: '-> ../wanted.service',
  [`${vendor}/multi.service`]: service('WantedBy=a.target b.target\nWantedBy=c.target'),
  [`${vendor}/reset.service`]: service('WantedBy=a.target\nWantedBy=\nWantedBy=b.target'),
  [`${vendor}/dropin.service`]: service(''),
  [`${config}/dropin.service.d/50-install.conf`]: '[Install]\nWantedBy=multi-user.target\n',
  [`${vendor}/multi-user.target`]: '[Unit]\nDescription=x\n',
  [`${vendor}/nightly.timer`]: '[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n',
  '/opt/linked.service': service('WantedBy=multi-user.target'),
  [`${config}/linked.service`]: '-> /opt/linked.service',
  [`${config}/overridden.service`]: service('WantedBy=a.target'),
  [`${vendor}/overridden.service`]: service('WantedBy=b.target'),
  [`${vendor}/specifier@.service`]: service('WantedBy=slot-%i.target'),
};

const names = [
  ...new Set(Object.keys(shapes).map((path) => path.split('/').at(-1) ?? '')),
  'worker@one.service',
  'getty@tty2.service',
  'specifier@7.service',
  'nickname.service',
  'missing.service',
].filter((name) => name.includes('.') && !name.endsWith('.conf'));

const scratch = mkdtempSync('/dev/shm/nodekiln-enablement-');
after(() => rmSync(scratch, { recursive: true, force: true }));

function makeRoot(): string {
  const root = mkdtempSync(join(scratch, 'root-'));
  for (const [path, content] of Object.entries(shapes)) {
    const real = join(root, path);
    mkdirSync(dirname(real), { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), real);
    else writeFileSync(real, content);
  }
  return root;
}

function links(root: string, folder = config): string[] {
  const found: string[] = [];
  for (const name of readdirSync(join(root, folder)).sort()) {
    const path = join(folder, name);
    const stat = lstatSync(join(root, path));
    if (stat.isSymbolicLink()) found.push(`${path} -> ${readlinkSync(join(root, path))}`);
    else if (stat.isDirectory()) found.push(`${path}/`, ...links(root, path));
    else found.push(path);
  }
  return found;
}

function systemctl(root: string, ...args: string[]): { ok: boolean; word: string } {
  // As the running manager is asked: what stands where an enabled unit's link belongs gives way.
  const force = args[0] === 'enable' ? ['--force'] : [];
  const { status, stdout } = spawnSync('systemctl', [`--root=${root}`, ...force, ...args], { encoding: 'utf8' });
  return { ok: status === 0, word: stdout.trim() };
}

async function change(root: string, verb: Enablement, name: string): Promise<boolean> {
  try {
    await changeEnablement(createLinuxFiles(root), verb, [name]);
    return true;
  } catch {
    return false;
  }
}

describe('enablement compared with systemctl --root', () => {
  test('the word for every unit', async () => {
    const root = makeRoot();
    const ours = await Promise.all(names.map((name) => readEnablement(createLinuxFiles(root), name)));
    const theirs = names.map((name) => systemctl(root, 'is-enabled', name).word);
    assert.deepEqual(pairs(ours), pairs(theirs));
  });

  for (const verb of ['enable', 'disable', 'mask', 'unmask'] as const) {
    test(`${verb} for every unit, then disable`, async () => {
      for (const name of names) {
        const [ours, theirs] = [makeRoot(), makeRoot()];
        for (const step of [verb, 'disable'] as const) {
          const done = await change(ours, step, name);
          const expected = systemctl(theirs, step, name).ok;
          assert.deepEqual({ done, links: links(ours) }, { done: expected, links: links(theirs) }, `${step} ${name}`);
          assert.equal(
            await readEnablement(createLinuxFiles(ours), name),
            systemctl(theirs, 'is-enabled', name).word,
            `is-enabled ${name} after ${step}`,
          );
        }
      }
    });
  }

  test('any sequence of changes', async () => {
    const step = fc.record({
      verb: fc.constantFrom<Enablement>('enable', 'disable', 'mask', 'unmask'),
      name: fc.constantFrom(...names),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const [ours, theirs] = [makeRoot(), makeRoot()];
        for (const { verb, name } of steps) {
          await change(ours, verb, name);
          systemctl(theirs, verb, name);
          assert.deepEqual(links(ours), links(theirs), `${verb} ${name}`);
        }
      }),
      {
        numRuns: 25,
        examples: [
          [
            [
              { verb: 'enable', name: 'specifier@7.service' },
              { verb: 'mask', name: 'specifier@.service' },
              { verb: 'disable', name: 'specifier@7.service' },
            ],
          ],
          [
            [
              { verb: 'enable', name: 'plain.service' },
              { verb: 'mask', name: 'plain.service' },
              { verb: 'disable', name: 'plain.service' },
            ],
          ],
          [
            [
              { verb: 'enable', name: 'plain.service' },
              { verb: 'mask', name: 'plain.service' },
              { verb: 'disable', name: 'vendor-alias.service' },
            ],
          ],
          [
            [
              { verb: 'mask', name: 'specifier@7.service' },
              { verb: 'disable', name: 'specifier@.service' },
            ],
          ],
          [
            [
              { verb: 'mask', name: 'also.socket' },
              { verb: 'enable', name: 'also.service' },
            ],
          ],
          [
            [
              { verb: 'mask', name: 'plain.service' },
              { verb: 'enable', name: 'vendor-alias.service' },
            ],
          ],
          [
            [
              { verb: 'mask', name: 'worker@.service' },
              { verb: 'mask', name: 'worker@one.service' },
              { verb: 'disable', name: 'worker@.service' },
            ],
          ],
        ],
      },
    );
  });

  test('names that are none are refused', async () => {
    const files = createLinuxFiles(makeRoot());
    await assert.rejects(changeEnablement(files, 'enable', ['no type']), { code: 'NK_UNIT_FAILED' });
    await assert.rejects(changeEnablement(files, 'mask', ['../../etc/passwd']), { code: 'NK_UNIT_FAILED' });
    await assert.rejects(changeEnablement(files, 'enable', ['missing.service']), { code: 'NK_UNIT_MISSING' });
    await assert.rejects(changeEnablement(files, 'enable', ['masked.service']), { code: 'NK_UNIT_FAILED' });
  });
});

function pairs(words: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name, index) => [name, words[index]]));
}
