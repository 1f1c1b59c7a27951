/** The schema of Gardener's `NodeAgentConfiguration` (nodeagent.config.gardener.cloud/v1alpha1). */
import { check, literal } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import {
  absolutePath,
  doc,
  duration,
  fields,
  freeMap,
  keyedList,
  matching,
  opt,
  text,
} from '../../config/schema-builders.ts';
import { apiServerUrl } from '../../config/schema-cluster.ts';
import { atLeast, namesKubeconfig } from './node-agent-checks.ts';

const secret = matching(/^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/, 'the name of a Secret');
const period = duration.check(check(atLeast('15s')));

export const nodeAgentConfigurationSchema = fields({
  apiVersion: doc('Version of the format.', literal('nodeagent.config.gardener.cloud/v1alpha1')),
  kind: doc('Kind of document.', literal('NodeAgentConfiguration')),
  apiServer: doc(
    'The API server.',
    fields({ server: doc('Its URL.', apiServerUrl), caFile: opt('Who vouches for it.', absolutePath) }),
  ),
  clientConnection: opt('How it is asked.', freeMap().check(check(namesKubeconfig))),
  logLevel: opt('Not taken over.', text()),
  logFormat: opt('Not taken over.', text()),
  server: opt('Not taken over.', freeMap()),
  debugging: opt('Not taken over.', freeMap()),
  featureGates: opt('Not taken over.', freeMap()),
  bootstrap: opt('Not taken over.', freeMap()),
  controllers: doc(
    'What the agent does.',
    fields({
      operatingSystemConfig: doc(
        'What it follows.',
        fields({
          secretName: doc('The Secret, in kube-system.', secret),
          syncPeriod: opt('Time between two looks.', period),
          kubernetesVersion: opt('Not taken over: the version is what kubelet says.', text()),
        }),
      ),
      token: opt(
        'Tokens.',
        fields({
          syncConfigs: opt(
            'Each one.',
            keyedList('path', fields({ secretName: doc('The Secret.', secret), path: doc('The file.', absolutePath) })),
          ),
          syncPeriod: opt('Time between two looks.', period),
        }),
      ),
      systemdUnitCheck: opt(
        'The condition of units.',
        fields({
          syncPeriod: opt('Time between two looks.', period),
          stuckThreshold: opt('When a unit is stuck.', duration.check(check(atLeast('30s')))),
        }),
      ),
    }),
  ),
});

export type NodeAgentConfiguration = Infer<typeof nodeAgentConfigurationSchema>;
