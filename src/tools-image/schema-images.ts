/** The schema of ToolsImages. */
import { check, literal, record } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { doc, fields, list, matching, name, opt, text, versionText } from '../config/schema-builders.ts';
import { wants } from '../config/schema-checks.ts';
import { latestIsListed, onePerMinor } from './images-checks.ts';
import { digestPattern } from './repository.ts';

const image = fields({
  kubectl: doc('Version of kubectl in the image, which is the cluster version it is for.', versionText),
  digest: doc('Digest of the image.', matching(digestPattern, 'a digest like "sha256:" and 64 hexadecimal digits')),
});

const spec = fields({
  images: doc(
    'The images, one per minor version.',
    list(image).check(check<readonly Infer<typeof image>[]>(onePerMinor)),
  ),
  latest: opt(
    'The minor version told as the newest. Default: the newest image’s.',
    matching(/^\d{1,9}\.\d{1,9}$/, 'a minor version like "1.31"'),
  ),
  tools: opt(
    'Versions of the other tools in the images, by name.',
    record(name, list(text('a version')), { error: wants('a map') }),
  ),
});

export const toolsImages = fields({
  apiVersion: doc('Version of this schema.', literal('nodekiln.dev/v1alpha1')),
  kind: doc('Kind of document.', literal('ToolsImages')),
  spec: doc('The images.', spec.check(check<Infer<typeof spec>>(latestIsListed))),
});

export type ToolsImages = Infer<typeof toolsImages>;
