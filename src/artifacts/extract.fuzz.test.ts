import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import { extractMember } from './extract.ts';
import type { FormatName } from './formats/format.ts';
import {
  buildDeb,
  buildRpm,
  buildTarball,
  inPieces,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../test/support/artifacts.ts';

const folder = temporaryFolder();
const mutant = join(folder, 'mutant');
const host = createLinuxHost();
after(() => removeFolder(folder));

/** Per package form: so many mutations whatever the machine has to do, or, for a long run, as many as fit into NODEKILN_FUZZ_MS. */
const extent =
  process.env['NODEKILN_FUZZ_MS'] === undefined
    ? { numRuns: 60 }
    : {
        numRuns: 1_000_000,
        interruptAfterTimeLimit: Number(process.env['NODEKILN_FUZZ_MS']),
        markInterruptAsFailure: false,
      };
const content = programBytes(20_000, 11);
const files = { 'usr/bin/kubelet': content, 'usr/bin/other': 'x'.repeat(3_000) };
const spec = { name: 'kubelet', version: '1.34.1', files };
const seeds = new Map<string, { bytes: Buffer; format: FormatName }>();

before(() => {
  const make = (name: string): string => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  };
  for (const compression of ['none', 'gzip', 'xz', 'zstd'] as const) {
    seeds.set(`deb ${compression}`, {
      bytes: readFileSync(buildDeb(make(`deb-${compression}`), spec, compression)),
      format: 'deb',
    });
    seeds.set(`rpm ${compression}`, {
      bytes: readFileSync(buildRpm(make(`rpm-${compression}`), spec, compression)),
      format: 'rpm',
    });
    seeds.set(`tarball ${compression}`, {
      bytes: readFileSync(buildTarball(folder, `${compression}.tar`, { files, compression })),
      format: 'tarball',
    });
  }
});

/** Who reads more than a few times over what is there goes round in circles. */
const readsPerByte = 4;

/** A host whose archives are given so many bytes at most, of which a read that gives none counts for one. */
function withinReads<H extends Pick<Host, 'archives'>>(host: H, most: number): H {
  let left = most;
  return {
    ...host,
    archives: {
      ...host.archives,
      read: (request) => {
        const { file } = request;
        return host.archives.read({
          ...request,
          file: {
            ...file,
            async read(position, length) {
              const bytes = await file.read(position, length);
              left -= Math.max(1, bytes.length);
              assert.ok(left >= 0, `more than ${most} bytes are read`);
              return bytes;
            },
          },
        });
      },
    },
  };
}

type Mutation =
  | { readonly do: 'set'; readonly at: number; readonly value: number }
  | { readonly do: 'cut'; readonly at: number; readonly length: number }
  | { readonly do: 'repeat'; readonly at: number; readonly length: number }
  | { readonly do: 'number'; readonly at: number; readonly text: string };

/** Parts of a whole, evenly: a double of fast-check is next to nothing nearly always. */
const part = (ofWhole: number): fc.Arbitrary<number> => fc.nat(1_000_000).map((n) => (ofWhole * n) / 1_000_000);
const place = fc.oneof(part(1), part(0.05));
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ do: fc.constant('set'), at: place, value: fc.nat(255) }),
  fc.record({ do: fc.constant('cut'), at: place, length: fc.integer({ min: 1, max: 2_000 }) }),
  fc.record({ do: fc.constant('repeat'), at: place, length: fc.integer({ min: 1, max: 2_000 }) }),
  fc.record({
    do: fc.constant('number'),
    at: place,
    text: fc.constantFrom(
      '9999999999',
      '77777777777\0',
      'FFFFFFFF',
      '../../../x',
      '/etc/passwd',
      '\0\0\0\0',
      '-1        ',
    ),
  }),
);

function mutate(bytes: Buffer, mutations: readonly Mutation[]): Buffer {
  return mutations.reduce((before, one) => {
    const at = Math.min(before.length - 1, Math.floor(one.at * before.length));
    switch (one.do) {
      case 'set':
        return Buffer.concat([before.subarray(0, at), Buffer.from([one.value]), before.subarray(at + 1)]);
      case 'cut':
        return Buffer.concat([before.subarray(0, at), before.subarray(at + one.length)]);
      case 'repeat':
        return Buffer.concat([before.subarray(0, at + one.length), before.subarray(at)]);
      case 'number':
        return Buffer.concat([before.subarray(0, at), Buffer.from(one.text), before.subarray(at + one.text.length)]);
    }
  }, bytes);
}

describe('mutated packages', () => {
  const forms = ['deb', 'rpm', 'tarball'].flatMap((format) =>
    ['none', 'gzip', 'xz', 'zstd'].map((compression) => `${format} ${compression}`),
  );
  for (const form of forms) {
    it(`${form}: gives a whole member or one clear error, and leaves nothing behind`, async (context) => {
      const seed = seeds.get(form);
      assert.ok(seed);
      const target = join(folder, `out-${form}`);
      let [taken, refused] = [0, 0];
      await fc.assert(
        fc.asyncProperty(
          fc.array(mutation, { minLength: 1, maxLength: 4 }),
          fc.constantFrom(64, 4_096, 1 << 20),
          async (mutations, size) => {
            rmSync(target, { recursive: true, force: true });
            mkdirSync(target);
            const bytes = mutate(seed.bytes, mutations);
            try {
              writeFileSync(mutant, bytes);
              await extractMember(withinReads(inPieces(host, size), readsPerByte * bytes.length + 100), {
                source: mutant,
                what: form,
                format: seed.format,
                member: 'usr/bin/kubelet',
                to: join(target, 'out'),
                limits: { totalBytes: 32 << 20, memberBytes: 16 << 20, headerBytes: 1 << 20 },
              });
              taken++;
              assert.deepEqual(readdirSync(target), ['out']);
              assert.ok(statSync(join(target, 'out')).size > 0);
              // Only an uncompressed form without digests of its own can carry a changed content.
              if (form !== 'deb none' && form !== 'tarball none')
                assert.ok(readFileSync(join(target, 'out')).equals(content));
            } catch (thrown) {
              refused++;
              assert.ok(
                thrown instanceof NodekilnError && /^NK_ARTIFACT_(UNREADABLE|MEMBER)$/.test(thrown.code),
                String(thrown instanceof Error ? thrown.stack : thrown),
              );
              assert.deepEqual(readdirSync(target), []);
            }
          },
        ),
        {
          ...extent,
          // Both outcomes are seen however slow the machine is: a mutation that changes nothing, and an early end.
          examples: [
            [[{ do: 'repeat', at: 0.5, length: 0 }], 4_096],
            [[{ do: 'cut', at: 0.5, length: seed.bytes.length }], 4_096],
          ],
        },
      );
      context.diagnostic(`${taken} taken, ${refused} refused`);
      assert.ok(refused > 0 && taken > 0, `${taken} taken, ${refused} refused`);
    });
  }
});
