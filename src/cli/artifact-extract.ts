/** `nodekiln artifact extract FILE --member PATH --to PATH` */
import { resolve as absolute } from 'node:path';
import { requireApart, requireFolderOf } from './output-file.ts';
import { onThisMachine } from './this-machine.ts';
import { textOption, type Verb } from './verb.ts';

export const artifactExtractVerb: Verb = {
  spec: {
    name: 'artifact extract',
    summary: 'take one member out of a package',
    description:
      'Runs no maintainer script and follows no link; the result gets its name when everything about it was checked.',
    arguments: [{ name: 'FILE', about: 'a .deb, .rpm, tarball or plain file', required: true }],
    options: [
      { flag: '--member', value: 'PATH', about: 'the member inside the package; a plain file has none' },
      { flag: '--to', value: 'PATH', about: 'where to put it', required: true },
      { flag: '--digest', value: 'DIGEST', about: 'refuse the member when it has another digest (sha256:…)' },
      { flag: '--package-digest', value: 'DIGEST', about: 'refuse the package when it has another digest (sha256:…)' },
    ],
    examples: ['nodekiln artifact extract kubelet.deb --member usr/bin/kubelet --to ./kubelet'],
    kind: 'ExtractedMember',
    root: 'never',
    endsItself: true,
  },
  async run({ arguments: [source = ''], options, signal }) {
    const { extractMember } = await import('../artifacts/extract.ts');
    const member = textOption(options, 'member');
    const digest = textOption(options, 'digest');
    const packageDigest = textOption(options, 'package-digest');
    const to = textOption(options, 'to') ?? '';
    requireApart({ reads: [source], writes: [to] });
    requireFolderOf(to);
    const extracted = await onThisMachine((host) =>
      extractMember(host, {
        source: absolute(source),
        what: source,
        to: absolute(to),
        signal,
        ...(member !== undefined && { member }),
        ...(digest !== undefined && { digest }),
        ...(packageDigest !== undefined && { packageDigest }),
      }),
    );
    return { data: { ...extracted, path: to }, text: `${to}: ${extracted.size} bytes, ${extracted.digest}` };
  },
};
