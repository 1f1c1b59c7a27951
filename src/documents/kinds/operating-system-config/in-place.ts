/** What an OperatingSystemConfig says of updates in place. kubelet's settings stand in a file of it. Pure. */
import { parseText } from '../../../config/load.ts';
import type { Issue } from '../../../config/problems.ts';
import { kubeletTraits, systemOf, type InPlaceUpdates } from '../../../desired/in-place.ts';
import { fromBase64, textOf } from '../../../model/bytes.ts';
import { allFiles } from './merge.ts';
import type { OperatingSystemConfig, OscFile } from './schema.ts';

const kubeletConfigPath = '/var/lib/kubelet/config/kubelet';

/** Undefined where the document says nothing of it; an issue, as the schema would report it, where it cannot be followed. */
export async function inPlaceOf(
  document: OperatingSystemConfig,
): Promise<{ readonly inPlace?: InPlaceUpdates; readonly issues: readonly Issue[] }> {
  const { inPlaceUpdates } = document.spec;
  if (!inPlaceUpdates) return { issues: [] };
  const config = allFiles(document).find(({ item }) => item.path === kubeletConfigPath);
  const settings = config && (await settingsIn(config.item));
  if (settings === undefined) {
    const message = `is wanted, and no file ${kubeletConfigPath} holds the settings of kubelet: whether pods are disturbed cannot be told`;
    return { issues: [{ code: 'custom', path: ['spec', 'inPlaceUpdates'], message }] };
  }
  const { operatingSystemVersion, kubelet, credentialsRotation } = inPlaceUpdates;
  const { command, args = [] } = document.status?.inPlaceUpdates?.osUpdate ?? {};
  const authorities = credentialsRotation?.certificateAuthorities?.lastInitiationTime;
  const serviceAccountKey = credentialsRotation?.serviceAccountKey?.lastInitiationTime;
  return {
    inPlace: {
      drain: true,
      operatingSystem: systemOf({
        version: operatingSystemVersion,
        ...(command !== undefined && { command: [command, ...args] }),
      }),
      kubelet: kubeletTraits(kubelet, settings),
      credentials: {
        ...(authorities !== undefined && { certificateAuthorities: authorities }),
        ...(serviceAccountKey !== undefined && { serviceAccountKey }),
      },
    },
    issues: [],
  };
}

async function settingsIn({ content: { inline } }: OscFile): Promise<unknown> {
  if (!inline) return undefined;
  const text = inline.encoding === 'b64' ? textOf(fromBase64(inline.data)) : inline.data;
  const parsed = await parseText({ file: 'kubelet', text }).catch(() => undefined);
  return parsed?.value;
}
