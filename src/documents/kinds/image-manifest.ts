/** `nodekiln.dev/v1alpha1` `ImageManifest`: one makes an image. */
import { checkDocument } from '../../config/load.ts';
import { formatPath } from '../../config/paths.ts';
import { renderImage } from '../../desired/render-image.ts';
import type { KindOfDocument } from './kind.ts';

export const imageManifest = {
  describes: 'image',
  load: async ({ parsed }) => {
    const loaded = await checkDocument(parsed, 'ImageManifest');
    const { file, positions, document } = loaded;
    return {
      loaded,
      render: (facts, pathReaders) =>
        renderImage(document, facts, {
          pathReaders,
          placeOf: (path) => ({ file, ...positions.locate(path, 'value'), path: formatPath(path) }),
        }),
    };
  },
} as const satisfies KindOfDocument;
