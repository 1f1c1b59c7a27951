/** What a ToolsImages document must be beyond the forms of its fields. */
import type { ParsePayload } from 'zod/v4/core';
import { isMinorOfVersion, minorOf } from '../model/minor.ts';

interface ImageEntry {
  readonly kubectl: string;
}

interface Spec {
  readonly images: readonly ImageEntry[];
  readonly latest?: string | undefined;
  readonly tools?: Readonly<Record<string, unknown>> | undefined;
}

export function onePerMinor(payload: ParsePayload<readonly ImageEntry[]>): void {
  const seen = new Set<string>();
  for (const [index, { kubectl }] of payload.value.entries()) {
    const minor = isMinorOfVersion(kubectl) ? minorOf(kubectl) : undefined;
    const message =
      minor === undefined
        ? 'must have a minor version, like "1.31.1"'
        : seen.has(minor)
          ? `is the second image for ${minor}`
          : undefined;
    if (message !== undefined)
      payload.issues.push({ code: 'custom', message, path: [index, 'kubectl'], input: kubectl });
    if (minor !== undefined) seen.add(minor);
  }
}

/** And the versions of kubectl are not given twice. */
export function latestIsListed(payload: ParsePayload<Spec>): void {
  const { latest, images, tools } = payload.value;
  if (tools && Object.hasOwn(tools, 'kubectl'))
    payload.issues.push({
      code: 'custom',
      message: 'is made from the images and cannot be given',
      path: ['tools', 'kubectl'],
      input: undefined,
    });
  if (
    latest === undefined ||
    images.some(({ kubectl }) => isMinorOfVersion(kubectl) && minorOf(kubectl) === minorOf(latest))
  )
    return;
  payload.issues.push({ code: 'custom', message: 'has no image', path: ['latest'], input: latest });
}
