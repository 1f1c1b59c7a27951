/** Ways to break the demo on purpose, one per stage, and what must come of each. Used by the sabotage test. */

export const sabotages = {
  /** The manifest names another digest than the package has. */
  'wrong-digest': { stage: 'bake', code: 'NK_ARTIFACT_DIGEST' },
  /** kubelet gets a flag that it does not know and exits. */
  'kubelet-exits': { stage: 'boot', code: 'NK_UNIT_FAILED' },
  /** A unit of the agent's document never says that it is ready. */
  'unit-hangs': { stage: 'tend', code: 'NK_UNIT_UNHEALTHY' },
  /** The agent's document has a misspelt key. */
  typo: { stage: 'tend', code: 'NK_DOCUMENT_INVALID' },
} as const satisfies Record<string, { stage: StageName; code: string }>;

export type Sabotage = keyof typeof sabotages;
export type StageName = 'prepare' | 'bake' | 'boot' | 'tend' | 'away' | 'upgrade' | 'reboot' | 'timeline';

export function isSabotage(name: string): name is Sabotage {
  return name in sabotages;
}

/** The manifest with a digest that its first package does not have. */
export function withWrongDigest(manifest: string): string {
  return replaceOnce(manifest, /(^ {8}- version: 1\.34\.3\n)/m, `$1          digest: sha256:${'0'.repeat(64)}\n`);
}

export function withUnknownFlag(node: string): string {
  return replaceOnce(node, /^ {2}kubelet:\n/m, '  kubelet:\n    flags:\n      no-such-flag: "true"\n');
}

export function withHangingUnit(desired: string): string {
  const unit = [
    '    - name: nodekiln-demo-hangs.service',
    '      content: |',
    '        [Service]',
    '        Type=notify',
    '        ExecStart=/bin/sleep infinity',
    '      state: started',
    '      deadline: 3s',
    '',
  ].join('\n');
  return `${desired.trimEnd()}\n${unit}`;
}

export function withTypo(desired: string): string {
  return replaceOnce(desired, /^ {2}kubernetes:\n {4}version:/m, '  kubernetes:\n    verison:');
}

/** `text` with one replacement that must apply: an example that changed its shape must not silently stay whole. */
export function replaceOnce(text: string, pattern: RegExp | string, replacement: string): string {
  const changed = text.replace(pattern, replacement);
  if (changed === text) throw new Error(`nothing in the example matches ${String(pattern)}`);
  return changed;
}
