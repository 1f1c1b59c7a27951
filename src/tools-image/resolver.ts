/**
 * The tools image for a cluster: `createToolsImageResolver(host, {repository, metadata}).resolve(() => version)`. For
 * programs that start pods and call it for each: it never takes longer than the deadline, and after the first call not
 * even that. `host` needs `net`, `files` and `clock` of the Host port.
 *
 * Errors (never any other than NodekilnError): NK_DOCUMENT_INVALID for settings, NK_VERSION_INVALID for a cluster version,
 * NK_TOOLS_IMAGE_NONE where the policy forbids a fallback, and what the caller's `clusterVersion` throws.
 */
import { asNodekilnError } from '../errors.ts';
import { chooseImage, configuredImage, type Choice } from './choose.ts';
import { completeSettings, type ToolsImageSettings } from './settings.ts';
import { createMetadataSource, type MetadataReport, type MetadataView, type MetadataHost } from './source.ts';
import { minorOf } from '../model/minor.ts';

/** The image for a cluster, why it is this one, and how well the metadata are known. */
export interface ToolsImage extends Choice {
  /** `major.minor` of the cluster, when it was asked. */
  readonly clusterVersion?: string;
  readonly metadata: MetadataReport;
}

/** Answers from what it knows, and refreshes it beside. */
export interface ToolsImageResolver {
  /** `clusterVersion` is called only when the answer depends on it. */
  resolve(clusterVersion?: () => string | Promise<string>): Promise<ToolsImage>;
  /** When no refresh of the metadata is under way: wait for it before a short-lived process ends. */
  settled(): Promise<void>;
}

/**
 * A resolver that keeps what it found out. NK_DOCUMENT_INVALID for settings that no image reference can be made of.
 */
export function createToolsImageResolver(host: MetadataHost, settings: ToolsImageSettings): ToolsImageResolver {
  const complete = completeSettings(settings);
  const { repository, tag, metadata: location, knownTags, policy } = complete;
  const source = location === undefined ? undefined : createMetadataSource(host, { ...complete, location });

  const resolve = async (clusterVersion?: () => string | Promise<string>): Promise<ToolsImage> => {
    if (tag !== undefined) return { ...configuredImage(repository, tag), metadata: { state: 'unused' } };
    const [cluster, view] = await Promise.all([
      clusterVersion === undefined ? undefined : Promise.resolve(clusterVersion()).then(minorOf),
      source?.read() ?? none,
    ]);
    const choice = chooseImage({
      repository,
      knownTags,
      policy,
      ...(cluster !== undefined && { cluster }),
      ...(view.document && { metadata: view.document }),
    });
    return { ...choice, ...(cluster !== undefined && { clusterVersion: cluster }), metadata: view.report };
  };

  return {
    resolve: async (clusterVersion) => {
      try {
        return await resolve(clusterVersion);
      } catch (thrown) {
        throw asNodekilnError(thrown);
      }
    },
    settled: async () => source?.settled(),
  };
}

const none: MetadataView = { report: { state: 'unavailable', why: 'no metadata address is configured' } };
