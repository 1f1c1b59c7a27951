/**
 * What the verbs `config check` and `config dump` do, as plain functions over loaded texts. Pure.
 */
import { NodekilnError, asNodekilnError, formatPlace } from '../errors.ts';
import type { Place, Problem } from '../errors.ts';
import type { SensitiveText } from '../model/resources.ts';
import { redacted } from '../model/secret-value.ts';
import { completeAgentConfig } from './agent-config.ts';
import { parseDocument } from './load.ts';
import type { DocumentText, LoadedDocument } from './load.ts';
import { formatPath, isMap } from './paths.ts';
import type { Path } from './paths.ts';
import { resolveNodeConfig } from './resolve.ts';
import { holdsSecret, looksSecret } from '../model/shown-address.ts';
import { nodeConfigDocument } from './schema-node.ts';
import { secretPaths } from './secrets.ts';
import { hasCredentials, inside, isAddress, isSecret, isSecretMap, known, type Known } from './typed.ts';

/** Every problem of every source, and of the NodeConfigs together; empty when all is well. */
export async function configCheck(sources: readonly DocumentText[]): Promise<Problem[]> {
  const problems: Problem[] = [];
  const nodeConfigs: LoadedDocument<'NodeConfig'>[] = [];
  for (const source of sources) {
    try {
      const loaded = await parseDocument(source);
      if (isNodeConfig(loaded)) nodeConfigs.push(loaded);
      else if (isAgentConfig(loaded)) completeAgentConfig(loaded);
    } catch (thrown) {
      problems.push(...problemsIn(thrown));
    }
  }
  if (problems.length > 0 || nodeConfigs.length === 0) return problems;
  try {
    resolveNodeConfig(nodeConfigs);
    return [];
  } catch (thrown) {
    return problemsIn(thrown);
  }
}

/** What an error says of documents; any other error is thrown on. */
export function problemsIn(thrown: unknown): Problem[] {
  const error = asNodekilnError(thrown);
  if (error.class !== 'document') throw error;
  const code = error.code === 'NK_DOCUMENT_INVALID' ? {} : { code: error.code };
  if (error.problems.length > 0) return error.problems.map((problem) => ({ ...problem, ...code }));
  return [{ message: error.message, hint: error.hint, ...code, ...(error.place && { place: error.place }) }];
}

export function isNodeConfig(loaded: LoadedDocument): loaded is LoadedDocument<'NodeConfig'> {
  return loaded.kind === 'NodeConfig';
}

function isAgentConfig(loaded: LoadedDocument): loaded is LoadedDocument<'AgentConfig'> {
  return loaded.kind === 'AgentConfig';
}

/** One value and its origin. */
export interface DumpEntry {
  /** `spec.kubelet.configuration.cgroupDriver` */
  readonly path: string;
  /** A scalar or a list of scalars; `<redacted>` for a secret. */
  readonly value: unknown;
  /** `default`, or `file:line:column`. */
  readonly origin: string;
}

/** A NodeConfig as it may be shown. */
export interface ConfigDump {
  /** The whole NodeConfig without secrets. */
  readonly config: unknown;
  /** Every value with its origin, in the order of the document. */
  readonly entries: readonly DumpEntry[];
}

/** The NodeConfig that documents make together, without secrets, and where each value comes from. */
export function configDump(sources: readonly LoadedDocument<'NodeConfig'>[]): ConfigDump {
  const { config, placeOf } = resolveNodeConfig(sources);
  const shown = redacting(config, known(nodeConfigDocument));
  const entries = leaves(shown, []).map(({ path, value }): DumpEntry => ({
    path: formatPath(path),
    value,
    origin: originOf(placeOf(path)),
  }));
  return { config: shown, entries };
}

function originOf(place: Place | undefined): string {
  if (!place) return 'default';
  const { path: _path, ...position } = place;
  return formatPlace(position);
}

/**
 * The value with every secret replaced. Where no schema says what it is, secrets are recognised by their shape, `SensitiveText`;
 * an address with a password or a signature is one wherever it stands, and so is an environment.
 */
export function redact(value: unknown): unknown {
  return redacting(value, []);
}

function redacting(value: unknown, schemas: Known): unknown {
  if (isSensitiveText(value)) return redacted;
  if (typeof value === 'string') {
    const isHidden = isSecret(schemas) || looksSecret(value) || (isAddress(schemas) && holdsSecret(value));
    return isHidden ? redacted : value;
  }
  if (Array.isArray(value)) return value.map((item, index) => redacting(item, inside(schemas, index)));
  if (!isMap(value)) return value;
  const isFree =
    schemas.length === 0 || hasCredentials(schemas) || schemas.some(({ _zod: { def } }) => def.type === 'unknown');
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const types = inside(schemas, key);
      const isEnvironment = isSecretMap(types) || (isFree && key === 'env');
      return [looksSecret(key) ? redacted : key, isEnvironment ? hidden(inner) : redacting(inner, types)];
    }),
  );
}

/** What programs are given there is for them alone: a map, or a list of names with values, as pods have it. */
function hidden(variables: unknown): unknown {
  if (Array.isArray(variables))
    return variables.map((variable: unknown) =>
      isMap(variable) && 'value' in variable ? { ...variable, value: redacted } : redact(variable),
    );
  if (!isMap(variables)) return redact(variables);
  return Object.fromEntries(Object.keys(variables).map((name) => [name, redacted]));
}

function isSensitiveText(value: unknown): value is SensitiveText {
  return isMap(value) && typeof value['sensitive'] === 'string';
}

function leaves(value: unknown, path: Path): { path: Path; value: unknown }[] {
  const isList = Array.isArray(value);
  const children = isList
    ? value.map((item, index) => [index, item] as const)
    : isMap(value) && !isSensitiveText(value)
      ? Object.entries(value)
      : [];
  const isScalarList = isList && value.every((item) => typeof item !== 'object' || item === null);
  if (children.length === 0 || isScalarList) return [{ path, value }];
  return children.flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

/**
 * NK_DOCUMENT_EXPOSED when a document holds secrets and its file's mode lets anyone but the owner at it.
 * The caller knows the mode bits.
 */
export function refuseExposed(loaded: LoadedDocument, mode: number): void {
  if ((mode & 0o077) === 0) return;
  const [first] = secretsOf(loaded);
  if (!first) return;
  const path = ['spec', ...first];
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  throw new NodekilnError(
    'NK_DOCUMENT_EXPOSED',
    `${loaded.file} holds secrets, but its mode ${octal} lets other users at it`,
    {
      place: { file: loaded.file, ...loaded.positions.locate(path, 'key'), path: formatPath(path) },
    },
  );
}

/** Paths inside the spec. */
function secretsOf(loaded: LoadedDocument): readonly Path[] {
  if (isNodeConfig(loaded)) return secretPaths(loaded.document.spec);
  if (!isAgentConfig(loaded) || loaded.document.spec.cluster?.bootstrapToken === undefined) return [];
  return [['cluster', 'bootstrapToken']];
}
