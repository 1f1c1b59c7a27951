/** The schema of a ToolsImageConfig. */
import { literal } from 'zod/mini';
import {
  doc,
  duration,
  fields,
  list,
  matching,
  numberFrom,
  oneOf,
  opt,
  text,
  timespan,
} from '../config/schema-builders.ts';
import { latestPolicies } from './choose.ts';
import { repositoryPattern, tagPattern } from './repository.ts';

export const toolsImageConfig = fields({
  apiVersion: doc('Version of this schema.', literal('nodekiln.dev/v1alpha1')),
  kind: doc('Kind of document.', literal('ToolsImageConfig')),
  spec: doc(
    'The settings.',
    fields({
      repository: opt(
        'Where the images are.',
        matching(repositoryPattern, 'a repository like "registry.example/team/tools"'),
      ),
      tag: opt('Exactly this tag; nothing is asked then.', matching(tagPattern, 'a tag like "1.31"')),
      metadata: opt('Address or path of the metadata document.', text('an address or a path')),
      policy: opt('When nothing is listed. Default: latest.', oneOf(...latestPolicies)),
      knownTags: opt(
        'Minor versions whose plain tag exists.',
        list(matching(/^\d{1,9}\.\d{1,9}$/, 'a minor version like "1.31"')),
      ),
      deadline: opt('For the whole request. Default: 2s.', timespan),
      maxBytes: opt('Largest document. Default: 1048576.', numberFrom(1, 64 * 1024 * 1024)),
      cacheFor: opt('How long a document counts as fresh. Default: 1h.', duration),
      retry: opt('After the first failed attempt; doubles. Default: 5s.', timespan),
      retryMax: opt('At most. Default: 5m.', timespan),
      cacheFolder: opt('Folder for the last good document.', matching(/^\//, 'an absolute path')),
    }),
  ),
});
