/** Bytes and text by the host program: what goes through every byte is not for an interpreter. */
import { now } from './crossing.ts';
import { TextDecoder } from './polyfills/text.ts';

export { concatBytes, fromBase64, fromHex, latin1Of } from '../../model/bytes.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && decoder.decode(bytes);
}

export function bytesOf(text: string): Uint8Array {
  return now('utf8', text.toWellFormed());
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && now<number>('compare', a, b) === 0;
}

export function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}
