/** The schema of a metadata document. */
import { array, object, nullish, record, refine } from 'zod/mini';
import { matching, text } from '../config/schema-builders.ts';
import { wants } from '../config/schema-checks.ts';
import { isMinorOfVersion } from '../model/minor.ts';
import { digestPattern, revisionPattern, tagPattern } from './repository.ts';

const map = { error: wants('a map') };
const minorKey = matching(/^(?:0|[1-9]\d{0,8})\.(?:0|[1-9]\d{0,8})$/, 'a minor version like "1.31"');
const version = text('a version like "1.31.1"').check(
  refine(isMinorOfVersion, { error: wants('a version like "1.31.1"') }),
);
const tag = matching(tagPattern, 'a tag, with or without a digest');

export const metadataDocument = object(
  {
    tools: nullish(object({ kubectl: nullish(array(version, { error: wants('a list') })) }, map)),
    latest: nullish(version),
    revisionHash: nullish(matching(revisionPattern, 'a part of a tag: letters, digits, ".", "_" and "-"')),
    deprecations: nullish(record(minorKey, nullish(object({ latestTag: nullish(tag) }, map)), map)),
    images: nullish(
      record(
        minorKey,
        nullish(
          object(
            { tag: nullish(tag), digest: nullish(matching(digestPattern, 'a digest like "sha256:" and 64 digits')) },
            map,
          ),
        ),
        map,
      ),
    ),
  },
  map,
);
