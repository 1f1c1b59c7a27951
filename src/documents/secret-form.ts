/**
 * Documents in a Secret: under the key `osc.yaml` an OperatingSystemConfig with its checksum in an annotation, as Gardener
 * ships it, or NodeConfigs under keys that end as documents do, in lexical order. Pure: who reads the Secret from an API
 * server, and watches it, is told here what is in it.
 *
 * Errors: NK_DOCUMENT_MISSING (no document in it: nothing is known of what it asks for), NK_DOCUMENT_CHECKSUM,
 * NK_DOCUMENT_SYNTAX (no UTF-8).
 */
import { parseText } from '../config/load.ts';
import { isMap, valueAt } from '../config/paths.ts';
import { NodekilnError } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
import type { SecretValue } from '../model/secret-value.ts';
import { fileLists } from './kinds/operating-system-config/rules.ts';
import { isDocumentName, type SourcedText } from './sources/source.ts';

/** The part of a Secret, as the API gives it, that is read here. */
export interface Secret {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, SecretValue>>;
}

export const oscKey = 'osc.yaml';
/** SHA-256 of the bytes under `osc.yaml`, in lower-case hexadecimal digits. */
export const checksumAnnotation = 'checksum/data-script';
/** `"true"`: nodes apply it one after the other. */
export const serialAnnotation = 'reconciliation.osc.node-agent.gardener.cloud/serial';

/** What a Secret says. */
export interface SecretForm {
  /** `secret:kube-system/pool-a/osc.yaml` is the name of such a text. */
  readonly texts: readonly SourcedText[];
  /** Of `osc.yaml`, as recomputed; absent for documents of ours. Nodes report it once it is applied. */
  readonly checksum?: string;
  readonly serial: boolean;
}

/** Errors above. */
export function readSecretForm({ metadata, data = {} }: Secret): SecretForm {
  const address = `secret:${metadata.namespace}/${metadata.name}`;
  const keys = Object.keys(data).filter(isDocumentName).sort();
  if (keys.length === 0)
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${address} holds no document`, {
      place: { file: address },
      hint: `Put an OperatingSystemConfig under ${oscKey}, or NodeConfigs under names that end in .yaml. What is applied stays.`,
    });
  const contents = keys.map((key) => ({ key, content: data[key]?.reveal() ?? new Uint8Array() }));
  const texts = contents.map(({ key, content }) => {
    const file = `${address}/${key}`;
    return new ConcealedText(file, decoded(content, file));
  });
  const serial = metadata.annotations?.[serialAnnotation] === 'true';
  const osc = contents.find(({ key }) => key === oscKey);
  if (!osc) return { texts, serial };
  const checksum = sha256(osc.content).slice('sha256:'.length);
  const stated = metadata.annotations?.[checksumAnnotation];
  if (stated !== undefined && stated !== checksum)
    throw new NodekilnError(
      'NK_DOCUMENT_CHECKSUM',
      `${address}/${oscKey} has the SHA-256 ${checksum}, and the annotation ${checksumAnnotation} says ${stated}`,
      { place: { file: `${address}/${oscKey}` } },
    );
  return { texts, checksum, serial };
}

function decoded(content: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is no text in UTF-8`, { cause, place: { file } });
  }
}

/**
 * Names of the Secrets that files of these documents are taken out of, sorted. None of a text that is not well-formed: that
 * it is wrong is said where it is loaded.
 */
export async function secretsNamedIn(texts: readonly Pick<SourcedText, 'file' | 'text'>[]): Promise<string[]> {
  const names = new Set<string>();
  for (const text of texts) {
    // Parsed only where it may name one.
    if (!text.text.includes('secretRef')) continue;
    const parsed = await parseText(text).catch(() => undefined);
    for (const list of fileLists) {
      const files = valueAt(parsed?.value, list);
      for (const file of Array.isArray(files) ? files : []) {
        const name = valueAt(file, ['content', 'secretRef', 'name']);
        if (isMap(file) && typeof name === 'string' && name !== '') names.add(name);
      }
    }
  }
  return [...names].sort();
}

/** The texts with the Secrets that they name; those that are not there are missed where they are needed. */
export function withSecrets(texts: readonly SourcedText[], secrets: readonly Secret[]): SourcedText[] {
  const known = new Map(secrets.map(({ metadata, data = {} }) => [metadata.name, data]));
  return texts.map(({ file, text }) => new ConcealedText(file, text, known));
}

/** What a Secret held, as a text to be parsed. Printed or serialised by accident it shows its name alone. */
class ConcealedText implements SourcedText {
  readonly file: string;
  readonly mode = 0;
  declare readonly secrets?: NonNullable<SourcedText['secrets']>;
  readonly #text: string;

  constructor(file: string, text: string, secrets?: SourcedText['secrets']) {
    this.file = file;
    this.#text = text;
    if (secrets) this.secrets = secrets;
  }

  get text(): string {
    return this.#text;
  }
}
