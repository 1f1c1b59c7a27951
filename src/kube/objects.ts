/** Objects of an API server, and where they are. */
import { NodekilnError } from '../errors.ts';

/** What every object has. Kinds add their own. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** Objects of one kind, in a namespace or without one. */
export interface Resource {
  /** `v1`, `coordination.k8s.io/v1`. */
  readonly apiVersion: string;
  /** `secrets`, `leases`: the plural that paths have. */
  readonly plural: string;
  readonly namespace?: string;
}

/** Which of them. */
export interface Selection {
  /** `metadata.name=node-1` */
  readonly fieldSelector?: string;
  /** `app=x,tier!=y` */
  readonly labelSelector?: string;
}

/**
 * `/api/v1/namespaces/kube-system/secrets/x`. Segments are encoded, and what servers refuse as a segment never gets there:
 * `''` would be the list of all, `..` another object, `%2F` a way around whoever reads the path before (apimachinery's
 * IsValidPathSegmentName). NK_USAGE for such a name.
 */
export function pathOf({ apiVersion, plural, namespace }: Resource, ...rest: readonly string[]): string {
  const segments = [
    ...(apiVersion.includes('/') ? ['apis', ...apiVersion.split('/')] : ['api', apiVersion]),
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...rest,
  ];
  const wrong = segments.find((segment) => !isSegment(segment));
  if (wrong !== undefined)
    throw new NodekilnError('NK_USAGE', `${JSON.stringify(wrong)} cannot be in the path of an object (${plural})`, {
      hint: 'Names of objects are not empty, not . or .., and have neither / nor %.',
    });
  return `/${segments.map((segment) => encodeURIComponent(segment)).join('/')}`;
}

function isSegment(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..' && !/[/%]/.test(segment);
}

/** `namespace/name`, or the name alone. */
export function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Whether what a server sent can be used as an object: it has a name and a version. */
export function isKubeObject(value: unknown): value is KubeObject {
  const metadata = fieldOf(value, 'metadata');
  return isWord(fieldOf(metadata, 'name')) && isWord(fieldOf(metadata, 'resourceVersion'));
}

/** A field of what a server sent, which may be anything. */
export function fieldOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
