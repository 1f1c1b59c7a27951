/** The schema of every kind of document that is read here, ours and others', for what must hold for all of them alike. */
import type { $ZodType } from 'zod/v4/core';
import { kinds } from '../../src/config/load.ts';
import { nodeAgentConfigurationSchema } from '../../src/documents/kinds/schema-node-agent.ts';
import { operatingSystemConfigSchema } from '../../src/documents/kinds/operating-system-config/schema.ts';

export const documentSchemas: readonly (readonly [kind: string, schema: () => Promise<$ZodType> | $ZodType])[] = [
  ...Object.entries(kinds),
  ['OperatingSystemConfig', () => operatingSystemConfigSchema],
  ['NodeAgentConfiguration', () => nodeAgentConfigurationSchema],
];
