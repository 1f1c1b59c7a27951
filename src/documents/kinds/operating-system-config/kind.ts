/** `extensions.gardener.cloud/v1alpha1` `OperatingSystemConfig`: one describes a whole node. */
import { invalidDocument, formatProblem } from '../../../config/invalid.ts';
import { formatPath, type Path } from '../../../config/paths.ts';
import { problemsOf, type ParsedDocument } from '../../../config/problems.ts';
import { parseDuration } from '../../../config/duration.ts';
import { NodekilnError, type Place } from '../../../errors.ts';
import type { KindOfDocument, KindText } from '../kind.ts';
import type { InPlaceUpdates } from '../../../desired/in-place.ts';
import { inPlaceOf } from './in-place.ts';
import { allFiles } from './merge.ts';
import { readPredecessor } from './predecessor.ts';
import { readOperatingSystemConfig } from './read.ts';
import { renderOperatingSystemConfig } from './render.ts';
import type { OperatingSystemConfig } from './schema.ts';
import { brokenStaticPods } from './static-pods.ts';

const bootBudget = '10m';

export const operatingSystemConfig = {
  describes: 'node',
  load: async (texts) => {
    const [text, second] = texts;
    if (!text) throw new NodekilnError('NK_INTERNAL', 'no document was given');
    if (second)
      throw invalidDocument('one OperatingSystemConfig describes a whole node', [
        { message: `a second one is in ${second.parsed.file}`, place: { file: second.parsed.file } },
      ]);
    const { document, remarks, inPlace } = await read(text.parsed);
    refuseExposed(document, text);
    return (facts) => {
      const options = { placeOf: placesIn(text.parsed), ...(text.secrets && { secrets: text.secrets }) };
      const desired = renderOperatingSystemConfig(document, facts, options);
      return {
        desired: { ...desired, warnings: [...remarks, ...desired.warnings] },
        budgetMs: parseDuration(bootBudget),
        node: { labels: { [roleLabel(document)]: '' }, annotations: {}, taints: [] },
        ...(inPlace && { inPlace }),
        predecessor: (files) => readPredecessor(files, facts),
      };
    };
  },
  check: async (parsed, facts) => {
    const { document, remarks } = await read(parsed);
    const { warnings, notes = [] } = renderOperatingSystemConfig(document, facts, {
      placeOf: placesIn(parsed),
      secrets: 'unknown',
    });
    return { warnings: [...remarks, ...warnings], notes };
  },
} as const satisfies KindOfDocument;

/** A node is of the control plane when it has its API server. */
function roleLabel(document: OperatingSystemConfig): string {
  const isControlPlane = (document.spec.files ?? []).some(
    ({ path }) => path === '/etc/kubernetes/manifests/kube-apiserver.yaml',
  );
  return `node-role.kubernetes.io/${isControlPlane ? 'control-plane' : 'worker'}`;
}

interface Read {
  readonly document: OperatingSystemConfig;
  readonly remarks: string[];
  readonly inPlace?: InPlaceUpdates;
}

async function read(parsed: ParsedDocument): Promise<Read> {
  const { document, unknownKeys } = readOperatingSystemConfig(parsed);
  const { inPlace, issues } = await inPlaceOf(document);
  const problems = problemsOf([...(await brokenStaticPods(document)), ...issues], parsed);
  if (problems.length > 0) throw invalidDocument(`${parsed.file} is not a valid OperatingSystemConfig`, problems);
  const remarks = unknownKeys.map((problem) => `${formatProblem(problem)}; it is passed over`);
  return { document, remarks, ...(inPlace && { inPlace }) };
}

function placesIn({ file, positions }: ParsedDocument): (path: Path) => Place {
  return (path) => ({ file, ...positions.locate(path, 'value'), path: formatPath(path) });
}

/** NK_DOCUMENT_EXPOSED where the document lets others read what it keeps from them on the host by its own word. */
function refuseExposed(document: OperatingSystemConfig, { parsed, mode }: KindText): void {
  if ((mode & 0o077) === 0) return;
  const guarded = allFiles(document).find(
    ({ item: { content, permissions = 0o777 } }) => content.inline !== undefined && (permissions & 0o077) === 0,
  );
  if (!guarded) return;
  const path = [...guarded.path, 'content', 'inline'];
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  throw new NodekilnError(
    'NK_DOCUMENT_EXPOSED',
    `${parsed.file} holds a file that only root may read, but its own mode ${octal} lets other users at it`,
    { place: { file: parsed.file, ...parsed.positions.locate(path, 'key'), path: formatPath(path) } },
  );
}
