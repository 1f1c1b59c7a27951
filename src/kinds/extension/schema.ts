/** The schema of what is recorded of each extension that was made. */
import { boolean, object, array, number, optional, string } from 'zod/mini';

export const extensionRecord = object({
  name: string(),
  version: optional(string()),
  path: optional(string()),
  digest: optional(string()),
  file: string(),
  link: string(),
  size: number(),
  mtimeNs: string(),
  masks: array(string()),
  tools: array(string()),
  settled: boolean(),
});
