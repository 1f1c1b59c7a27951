/**
 * Names as the disk has them are bytes, ours are text. What is no UTF-8 in a name is kept as halves of characters, U+DC80 to
 * U+DCFF for the bytes 0x80 to 0xFF (as Python has it, PEP 383): nothing else has them, so that every name that was listed
 * can be opened and removed. Pure.
 */

/** A name as it was listed. */
export function nameOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
}

/** A path as system calls take it. */
export function bytesOfPath(path: string): string | Buffer {
  if (path.isWellFormed()) return path;
  const parts = path.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - 0xdc00))),
  );
}
