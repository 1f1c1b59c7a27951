/**
 * How far an agent is that gives way to another, durably: between the agent, the errand that restarts it, and the agent that
 * comes. One writes at a time: the agent until it is released, the errand from then on, whoever takes over by removing it.
 */
import { NodekilnError } from '../../errors.ts';
import type { Attributes, Files } from '../../host/port.ts';
import { bytesOf, textOf } from '../../model/bytes.ts';
import { rootFile } from '../../model/files.ts';
import type { Resource } from '../../model/resources.ts';
import { agentUpdateFolder } from '../../model/state-paths.ts';

/** What an agent of this version reads and writes. */
const recordVersion = 1;
export const trialPath = `${agentUpdateFolder}/trial.json`;
const refusedPath = `${agentUpdateFolder}/refused.json`;

/** Of what was there before: a copy, or nothing. */
export interface Saved {
  readonly path: string;
  readonly copy?: { readonly path: string } & Attributes;
}

export interface Failure {
  readonly message: string;
  /** Of the log of the agent that failed. */
  readonly lines: readonly string[];
}

interface Progress {
  /**
   * `begun`: the agent puts it in place. `released`: it is, or is the errand's to put there, and the agent may be restarted.
   * `trying`: it was. `returning`: what was there before comes back. `undone`: it could not be put in place, and what was there
   * before is back.
   */
  readonly state: 'begun' | 'released' | 'trying' | 'returning' | 'undone';
  /** An agent may start with another configuration and never find its documents. */
  readonly configures: boolean;
  readonly saved: readonly Saved[];
  /** Invocation of the agent that is restarted. */
  readonly instead?: string;
  readonly failure?: Failure;
}

/** Documents ask for it. */
interface AskedFor {
  /** Fingerprint of what is put in place. */
  readonly part: string;
  /** Digest of the documents that ask for it; absent where they could not be read. */
  readonly document?: string;
  /** What was asked for of it when it was in place last: what a document drops stays that. */
  readonly before: readonly Resource[];
  readonly offer?: undefined;
}

/** A bootstrap brings a program. */
interface Offered {
  /** Its digest, as the bootstrap was told it. */
  readonly offer: string;
}

export type Trial = Progress & (AskedFor | Offered);

/** What was tried and taken back. */
export interface Refused extends Failure {
  readonly part: string;
  readonly document?: string;
  readonly before: readonly Resource[];
}

/** Undefined while none is under way. NK_STATE_NEWER. */
export async function readTrial(files: Files): Promise<Trial | undefined> {
  return read<Trial>(files, trialPath);
}

export async function writeTrial(files: Files, trial: Trial): Promise<void> {
  await write(files, trialPath, trial);
}

export async function removeTrial(files: Files): Promise<void> {
  await files.remove([trialPath]);
}

export async function readRefused(files: Files): Promise<Refused | undefined> {
  return read<Refused>(files, refusedPath);
}

export async function writeRefused(files: Files, refused: Refused): Promise<void> {
  await write(files, refusedPath, refused);
}

export async function removeRefused(files: Files): Promise<void> {
  await files.remove([refusedPath]);
}

async function write(files: Files, path: string, value: object): Promise<void> {
  await files.write([rootFile(path, bytesOf(`${JSON.stringify({ version: recordVersion, ...value })}\n`), 0o600)]);
}

async function read<T>(files: Files, path: string): Promise<T | undefined> {
  const content = await files.read(path);
  if (!content) return undefined;
  // Only an agent writes it, whole.
  const value = JSON.parse(textOf(content)) as T & { readonly version: number };
  if (value.version === recordVersion) return value;
  throw new NodekilnError(
    'NK_STATE_NEWER',
    `${path} is of version ${value.version}, this nodekiln knows version ${recordVersion}`,
  );
}
