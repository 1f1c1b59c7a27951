/**
 * Calls into the host program, which is written in Go (`native/`): what does not wait returns or throws, what waits is a
 * promise, and may tell pieces before its end. What the system refuses is thrown with its errno as the `code`.
 */

/** What crosses; other arrays of bytes are copied on the way. */
export type Crossing = string | number | boolean | Uint8Array | undefined | null;

declare function hostNow(op: string, ...values: readonly Crossing[]): never;
declare function hostBegin(id: number, op: string, ...values: readonly Crossing[]): void;
declare function hostCancel(id: number): void;
declare function hostTimer(id: number, ms: number): void;
declare function hostRef(id: number, yes: boolean): void;
declare function hostExit(status: number): never;

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly onPiece: ((...values: never[]) => void) | undefined;
}

const waiting = new Map<number, Waiting>();
let last = 0;

function settle(id: number, what: number, ...values: unknown[]): void {
  const one = waiting.get(id);
  if (!one) return;
  if (what === 2) {
    one.onPiece?.(...(values as never[]));
    return;
  }
  waiting.delete(id);
  if (what === 0) one.resolve(values[0] as never);
  else one.reject(errorOf(values as [string, string, string]));
}

Object.defineProperty(globalThis, 'hostSettle', { value: settle });

let idle: () => void = () => undefined;

Object.defineProperty(globalThis, 'hostIdle', { value: () => idle() });

/** Nothing is left to wait for; unless the listener begins something, the program ends with an error of its own. */
export function onIdle(listener: () => void): void {
  idle = listener;
}

function errorOf([message, code, path]: readonly [string, string, string]): Error {
  return Object.assign(new Error(message), code !== '' && { code }, path !== '' && { path });
}

/** What does not wait. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what comes back
export function now<Result extends Crossing | void>(op: string, ...values: readonly Crossing[]): Result {
  return hostNow(op, ...values);
}

/** Something that is under way. */
export interface Begun<Result> {
  readonly done: Promise<Result>;
  /** Its promise is settled all the same, with ABORT_ERR unless it was done already. */
  cancel(): void;
  /** Whether the program stays for it. */
  ref(yes: boolean): void;
}

export function begin<Result extends Crossing | void>(
  op: string,
  values: readonly Crossing[],
  onPiece?: (...values: never[]) => void,
): Begun<Result> {
  const id = (last += 1);
  const done = new Promise<Result>((resolve, reject) => waiting.set(id, { resolve, reject, onPiece }));
  try {
    hostBegin(id, op, ...values);
  } catch (thrown) {
    waiting.delete(id);
    throw thrown;
  }
  return { done, cancel: () => hostCancel(id), ref: (yes) => hostRef(id, yes) };
}

/** What waits and needs nothing more. */
export function later<Result extends Crossing | void>(op: string, ...values: readonly Crossing[]): Promise<Result> {
  return begin<Result>(op, values).done;
}

/** Calls back once, after so many milliseconds. Returns what stops it, and whether the program stays for it. */
export function afterMs(ms: number, callback: () => void): Pick<Begun<void>, 'cancel' | 'ref'> {
  const id = (last += 1);
  waiting.set(id, { resolve: callback, reject: () => undefined, onPiece: undefined });
  hostTimer(id, ms);
  return {
    cancel: () => {
      waiting.delete(id);
      hostCancel(id);
    },
    ref: (yes) => hostRef(id, yes),
  };
}

export function exit(status: number): never {
  return hostExit(status);
}

/** The same bytes as Node calls them. */
export function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
