/**
 * A value out of a Secret. It shows in no text, log, error or JSON by accident: printed, it is `<redacted>`, and its bytes are
 * given only to who asks for them by `reveal`.
 */
import { fromBase64 } from './bytes.ts';

/** In place of what is not shown. */
export const redacted = '<redacted>';

export class SecretValue {
  readonly #base64: string;

  constructor(base64: string) {
    this.#base64 = base64;
  }

  get isEmpty(): boolean {
    return this.#base64 === '';
  }

  reveal(): Uint8Array {
    return fromBase64(this.#base64);
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return redacted;
  }
}
