/**
 * Reads a database of bbolt, in which containerd keeps what is in its store, without any of its programs: pages that form
 * trees of keys, each with a value or a bucket of further keys. Only ever read; every offset is checked, because the file
 * may come from anywhere. Format: go.etcd.io/bbolt, page.go, node.go, db.go (meta version 2).
 */

/** A bucket: keys in order, each with a value or a bucket. */
export interface Bucket {
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly buckets: ReadonlyMap<string, Bucket>;
}

const magic = 0xed0cdaed;
const [branchPage, leafPage] = [0x01, 0x02];
const pageHeader = 16;
const elementBytes = 16;
const bucketFlag = 1;
const metaBytes = 64;
/** Trees and buckets within each other; containerd's have eight levels. */
const maxDepth = 40;

/** The top bucket as of the last whole transaction. RangeError when the file is damaged, or none of bbolt. */
export function readBolt(file: Uint8Array): Bucket {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const meta = lastMeta(view);
  let left = Math.ceil(file.length / meta.pageBytes) * 2;
  const page = (id: number): DataView => {
    // Pages that lead to each other are read no more often than there are pages.
    if (left-- < 0) throw new RangeError('its pages form a circle');
    const start = id * meta.pageBytes;
    const overflow = view.getUint32(start + 12, true);
    return part(view, start, (overflow + 1) * meta.pageBytes);
  };
  return bucketFrom(page(meta.root), page, 0);
}

interface Meta {
  readonly pageBytes: number;
  readonly root: number;
  readonly transaction: bigint;
}

/** Two of them take turns; one that was not written in full does not hold. */
function lastMeta(view: DataView): Meta {
  const first = metaAt(view, 0);
  const sizes = first ? [first.pageBytes] : [4096, 8192, 16384, 65536];
  const metas = [first, ...sizes.map((size) => metaAt(view, size))].filter((meta) => meta !== undefined);
  const last = metas.sort((a, b) => (a.transaction < b.transaction ? 1 : -1))[0];
  if (last) return last;
  throw new RangeError('it has no whole head');
}

function metaAt(view: DataView, start: number): Meta | undefined {
  const at = start + pageHeader;
  if (at + metaBytes > view.byteLength || view.getUint32(at, true) !== magic || view.getUint32(at + 4, true) !== 2)
    return undefined;
  if (view.getBigUint64(at + 56, true) !== fnv1a(part(view, at, 56))) return undefined;
  const pageBytes = view.getUint32(at + 8, true);
  if (pageBytes < 1024 || pageBytes > 1 << 20) return undefined;
  return { pageBytes, root: safe(view.getBigUint64(at + 16, true)), transaction: view.getBigUint64(at + 48, true) };
}

function fnv1a(bytes: DataView): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let at = 0; at < bytes.byteLength; at++)
    hash = BigInt.asUintN(64, (hash ^ BigInt(bytes.getUint8(at))) * 0x100000001b3n);
  return hash;
}

type Pages = (id: number) => DataView;

function bucketFrom(root: DataView, page: Pages, depth: number): Bucket {
  const values = new Map<string, Uint8Array>();
  const buckets = new Map<string, Bucket>();
  for (const { key, value, isBucket } of leaves(root, page, depth))
    if (!isBucket) values.set(key, value);
    else buckets.set(key, bucketOf(value, page, depth + 1));
  return { values, buckets };
}

/** A bucket's value names its root page, or is followed by a page of its own. */
function bucketOf(value: Uint8Array, page: Pages, depth: number): Bucket {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const root = safe(view.getBigUint64(0, true));
  return bucketFrom(root === 0 ? part(view, 16, value.length - 16) : page(root), page, depth);
}

interface Leaf {
  readonly key: string;
  readonly value: Uint8Array;
  readonly isBucket: boolean;
}

function* leaves(node: DataView, page: Pages, depth: number): Generator<Leaf> {
  if (depth > maxDepth) throw new RangeError('it is too deep');
  const [flags, count] = [node.getUint16(8, true), node.getUint16(10, true)];
  if ((flags & (branchPage | leafPage)) === 0) throw new RangeError('a page is neither branch nor leaf');
  for (let index = 0; index < count; index++) {
    const at = pageHeader + index * elementBytes;
    if ((flags & branchPage) !== 0) {
      yield* leaves(page(safe(node.getBigUint64(at + 8, true))), page, depth + 1);
      continue;
    }
    const [kind, position, keyBytes, valueBytes] = [0, 4, 8, 12].map((field) => node.getUint32(at + field, true)) as [
      number,
      number,
      number,
      number,
    ];
    const bytes = part(node, at + position, keyBytes + valueBytes);
    const all = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const key = new TextDecoder().decode(all.subarray(0, keyBytes));
    yield { key, value: all.subarray(keyBytes), isBucket: (kind & bucketFlag) !== 0 };
  }
}

function part(view: DataView, start: number, length: number): DataView {
  return new DataView(view.buffer, view.byteOffset + start, Math.min(length, view.byteLength - start));
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('an offset too large');
  return Number(value);
}
