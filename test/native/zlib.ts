/** Of `node:zlib` what the expectations use: streams that hold their content as it is (RFC 1952, RFC 8878). */

const most = 0xffff;

function* blocks(content: Uint8Array, size: number): Generator<readonly [block: Uint8Array, isLast: boolean]> {
  for (let at = 0; at === 0 || at < content.length; at += size)
    yield [content.subarray(at, at + size), at + size >= content.length];
}

function crc32(content: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export function gzipSync(content: Uint8Array): Buffer {
  const parts: Uint8Array[] = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])];
  for (const [block, isLast] of blocks(content, most)) {
    const header = Buffer.alloc(5);
    header[0] = isLast ? 1 : 0;
    header.writeUInt16LE(block.length, 1);
    header.writeUInt16LE(block.length ^ 0xffff, 3);
    parts.push(header, block);
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length, 4);
  return Buffer.concat([...parts, trailer]);
}

export function zstdCompressSync(content: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt32LE(0xfd2fb528, 0);
  // One segment, its size in four bytes.
  head[4] = 0xa0;
  head.writeUInt32LE(content.length, 5);
  const parts: Uint8Array[] = [head];
  for (const [block, isLast] of blocks(content, most)) {
    const number = (block.length << 3) | (isLast ? 1 : 0);
    parts.push(Buffer.from([number & 0xff, (number >> 8) & 0xff, number >> 16]), block);
  }
  return Buffer.concat(parts);
}
