/**
 * URL and URLSearchParams (URL standard). Names that are not ASCII are mapped by the host program. `protocol`, `host`, `hostname`
 * and `port` cannot be assigned.
 */
import { now } from '../crossing.ts';
import { TextDecoder, TextEncoder } from './text.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const specialPorts: Readonly<Record<string, number | undefined>> = {
  ftp: 21,
  file: undefined,
  http: 80,
  https: 443,
  ws: 80,
  wss: 443,
};

interface Parts {
  scheme: string;
  username: string;
  password: string;
  /** Serialised; null where there is none. */
  host: string | null;
  port: number | null;
  /** Text when it is opaque. */
  path: string[] | string;
  query: string | null;
  fragment: string | null;
}

const isSpecial = ({ scheme }: Pick<Parts, 'scheme'>): boolean => Object.hasOwn(specialPorts, scheme);

// ── percent-encoding ─────────────────────────────────────────────────────────────────────────────────────────────────

const setOf = (letters: string, more: ReadonlySet<string> = new Set()): ReadonlySet<string> =>
  new Set([...more, ...letters.split('')]);
const inFragment = setOf(' "<>`');
const inQuery = setOf(' "#<>');
const inSpecialQuery = setOf("'", inQuery);
const inPath = setOf('?^`{}', inQuery);
const inUserinfo = setOf('/:;=@[\\]|', inPath);
const none: ReadonlySet<string> = new Set();

function encoded(text: string, set: ReadonlySet<string>): string {
  let result = '';
  for (const letter of text) {
    if (letter > '\u001F' && letter < '\u007F' && !set.has(letter)) result += letter;
    else for (const byte of encoder.encode(letter)) result += hex(byte);
  }
  return result;
}

function hex(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function decodedBytes(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  const result: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    const digits = byte === 0x25 ? String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0) : '';
    if (/^[0-9a-f]{2}$/i.test(digits)) {
      result.push(Number.parseInt(digits, 16));
      at += 2;
    } else result.push(byte);
  }
  return Uint8Array.from(result);
}

// ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

class Failure extends Error {}

const forbiddenInHost = /[\0\t\n\r #/:<>?@[\\\]^|]/;
// eslint-disable-next-line no-control-regex -- They are what is forbidden.
const forbiddenInDomain = /[\0-\x20#%/:<>?@[\\\]^|\x7F]/;

function parseHost(text: string, opaque: boolean): string {
  if (text.startsWith('[')) {
    if (!text.endsWith(']')) throw new Failure();
    return `[${shownIPv6(parseIPv6(text.slice(1, -1)))}]`;
  }
  if (opaque) {
    // '%' is allowed.
    if (forbiddenInHost.test(text)) throw new Failure();
    return encoded(text, none);
  }
  const ascii = domainToAscii(decoder.decode(decodedBytes(text)));
  if (ascii === '' || forbiddenInDomain.test(ascii)) throw new Failure();
  return endsInNumber(ascii) ? parseIPv4(ascii) : ascii;
}

function domainToAscii(domain: string): string {
  const lower = domain.toLowerCase();
  // eslint-disable-next-line no-control-regex -- ASCII.
  if (/^[\0-\x7F]*$/.test(domain) && !/(^|\.)xn--/.test(lower)) return lower;
  try {
    return now<string>('domainToAscii', domain);
  } catch {
    throw new Failure();
  }
}

function endsInNumber(host: string): boolean {
  const parts = host.split('.');
  if (parts.at(-1) === '') {
    if (parts.length === 1) return false;
    parts.pop();
  }
  const last = parts.at(-1) ?? '';
  return /^[0-9]+$/.test(last) || /^0x[0-9a-f]*$/i.test(last);
}

function parseIPv4(host: string): string {
  const parts = host.split('.');
  if (parts.at(-1) === '' && parts.length > 1) parts.pop();
  if (parts.length > 4) throw new Failure();
  const numbers = parts.map((part) => {
    const [digits, radix] = /^0x/i.test(part)
      ? [part.slice(2), 16]
      : part.length > 1 && part.startsWith('0')
        ? [part.slice(1), 8]
        : [part, 10];
    if (part === '') throw new Failure();
    if (digits === '') return 0;
    if (!{ 16: /^[0-9a-f]+$/i, 8: /^[0-7]+$/, 10: /^[0-9]+$/ }[radix as 8 | 10 | 16].test(digits)) throw new Failure();
    return Number.parseInt(digits, radix);
  });
  const last = numbers.pop() ?? 0;
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) throw new Failure();
  const address = numbers.reduce((sum, number, index) => sum + number * 256 ** (3 - index), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

function parseIPv6(text: string): number[] {
  const address = Array.from<number>({ length: 8 }).fill(0);
  let piece = 0;
  let compress: number | undefined;
  let at = 0;
  if (text.startsWith(':')) {
    if (text[1] !== ':') throw new Failure();
    at = 2;
    compress = piece = 1;
  }
  while (at < text.length) {
    if (piece === 8) throw new Failure();
    if (text[at] === ':') {
      if (compress !== undefined) throw new Failure();
      at += 1;
      compress = piece += 1;
      continue;
    }
    const digits = /^[0-9a-f]{0,4}/i.exec(text.slice(at))?.[0] ?? '';
    const start = at;
    at += digits.length;
    if (text[at] === '.') {
      if (digits === '' || piece > 6) throw new Failure();
      const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text.slice(start));
      const bytes = four?.slice(1) ?? [];
      if (bytes.length === 0 || bytes.some((byte) => Number(byte) > 255 || /^0\d/.test(byte))) throw new Failure();
      const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
      address[piece] = a * 256 + b;
      address[piece + 1] = c * 256 + d;
      piece += 2;
      at = text.length;
      break;
    }
    if (text[at] === ':') {
      at += 1;
      if (at === text.length) throw new Failure();
    } else if (at < text.length) throw new Failure();
    address[piece] = digits === '' ? 0 : Number.parseInt(digits, 16);
    piece += 1;
  }
  if (compress !== undefined) {
    const moved = address.slice(compress, piece);
    address.fill(0, compress);
    moved.forEach((value, index) => (address[8 - moved.length + index] = value));
  } else if (piece !== 8) throw new Failure();
  return address;
}

/** The first of the longest runs of zeros, of two at least, is left out. */
function shownIPv6(address: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && address[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const shown = (pieces: readonly number[]): string => pieces.map((piece) => piece.toString(16)).join(':');
  if (best.start < 0) return shown(address);
  return `${shown(address.slice(0, best.start))}::${shown(address.slice(best.start + best.length))}`;
}

// ── the parser ───────────────────────────────────────────────────────────────────────────────────────────────────────

const isWindowsLetter = (text: string): boolean => /^[a-z][:|]$/i.test(text);
const startsWithWindowsLetter = (text: string): boolean => /^[a-z][:|](?:[/\\?#]|$)/i.test(text);
const isSingleDot = (segment: string): boolean => /^(?:\.|%2e)$/i.test(segment);
const isDoubleDot = (segment: string): boolean => /^(?:\.|%2e){2}$/i.test(segment);

function shorten({ scheme, path }: Parts): void {
  if (typeof path === 'string') return;
  if (scheme === 'file' && path.length === 1 && /^[a-z]:$/i.test(path[0] ?? '')) return;
  path.pop();
}

function parse(input: string, base?: Parts): Parts {
  // eslint-disable-next-line no-control-regex -- C0 controls and spaces.
  const text = input
    .toWellFormed()
    .replaceAll(/^[\0-\x20]+|[\0-\x20]+$/g, '')
    .replaceAll(/[\t\n\r]/g, '');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  const url: Parts = {
    scheme: '',
    username: '',
    password: '',
    host: null,
    port: null,
    path: [],
    query: null,
    fragment: null,
  };
  if (scheme === undefined) return withoutScheme(url, text, base);
  url.scheme = scheme;
  const rest = text.slice(scheme.length + 1);
  if (scheme === 'file') return fileUrl(url, rest, base?.scheme === 'file' ? base : undefined);
  if (isSpecial(url)) {
    if (base?.scheme === scheme && !/^[/\\]{2}/.test(rest) && !rest.startsWith('//')) return relative(url, rest, base);
    return authority(url, rest.replace(/^[/\\]*/, ''));
  }
  if (rest.startsWith('//')) return authority(url, rest.slice(2));
  if (rest.startsWith('/')) return pathStart(url, rest);
  return opaquePath(url, rest);
}

function withoutScheme(url: Parts, text: string, base: Parts | undefined): Parts {
  if (!base) throw new Failure();
  if (typeof base.path === 'string') {
    if (!text.startsWith('#')) throw new Failure();
    return { ...base, fragment: encoded(text.slice(1), inFragment) };
  }
  url.scheme = base.scheme;
  return base.scheme === 'file' ? fileUrl(url, text, base) : relative(url, text, base);
}

function copy(url: Parts, { username, password, host, port, path, query }: Parts): void {
  Object.assign(url, { username, password, host, port, path: typeof path === 'string' ? path : [...path], query });
}

function relative(url: Parts, text: string, base: Parts): Parts {
  const slash = isSpecial(url) ? /^[/\\]/ : /^\//;
  if (slash.test(text)) {
    if (slash.test(text.slice(1))) return authority(url, isSpecial(url) ? text.replace(/^[/\\]*/, '') : text.slice(2));
    copy(url, base);
    url.path = [];
    url.query = null;
    return pathOf(url, text.slice(1));
  }
  copy(url, base);
  if (text === '') return url;
  if (text.startsWith('?')) return afterPath(url, text);
  if (text.startsWith('#')) return afterPath(url, text);
  url.query = null;
  shorten(url);
  return pathOf(url, text);
}

function authority(url: Parts, text: string): Parts {
  const end = text.search(isSpecial(url) ? /[/\\?#]/ : /[/?#]/);
  const [whole, rest] = end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end)];
  const at = whole.lastIndexOf('@');
  if (at >= 0) {
    const [user, ...words] = whole.slice(0, at).split(':');
    url.username = encoded(user ?? '', inUserinfo);
    url.password = encoded(words.join(':'), inUserinfo);
  }
  const name = whole.slice(at + 1);
  if (at >= 0 && name === '') throw new Failure();
  hostAndPort(url, name);
  return pathStart(url, rest);
}

function hostAndPort(url: Parts, text: string): void {
  const colon = /:(?![^[]*\])/.exec(text)?.index ?? -1;
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === '' && (isSpecial(url) || colon >= 0)) throw new Failure();
  url.host = name === '' ? '' : parseHost(name, !isSpecial(url));
  const digits = colon < 0 ? '' : text.slice(colon + 1);
  if (!/^[0-9]*$/.test(digits)) throw new Failure();
  if (digits === '') return;
  const port = Number(digits);
  if (port > 65535) throw new Failure();
  url.port = port === specialPorts[url.scheme] ? null : port;
}

function fileUrl(url: Parts, text: string, base: Parts | undefined): Parts {
  url.host = '';
  if (/^[/\\]/.test(text)) {
    if (/^[/\\]/.test(text.slice(1))) return fileHost(url, text.slice(2));
    if (base && typeof base.path !== 'string') {
      url.host = base.host;
      const drive = base.path[0] ?? '';
      if (!startsWithWindowsLetter(text.slice(1)) && /^[a-z]:$/i.test(drive)) url.path = [drive];
    }
    return pathOf(url, text.slice(1));
  }
  if (!base) return pathOf(url, text);
  copy(url, base);
  if (text === '' || /^[?#]/.test(text)) return afterPath(url, text);
  url.query = null;
  if (startsWithWindowsLetter(text)) url.path = [];
  else shorten(url);
  return pathOf(url, text);
}

function fileHost(url: Parts, text: string): Parts {
  const end = text.search(/[/\\?#]/);
  const [name, rest] = end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end)];
  if (isWindowsLetter(name)) return pathOf(url, text);
  if (name !== '') {
    const host = parseHost(name, false);
    url.host = host === 'localhost' ? '' : host;
  }
  return pathStart(url, rest);
}

function pathStart(url: Parts, text: string): Parts {
  if (isSpecial(url)) return pathOf(url, text.replace(/^[/\\]/, ''));
  if (text === '' || /^[?#]/.test(text)) return afterPath(url, text);
  return pathOf(url, text.replace(/^\//, ''));
}

function pathOf(url: Parts, text: string): Parts {
  const special = isSpecial(url);
  const end = text.search(/[?#]/);
  const [whole, rest] = end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end)];
  addSegments(url, whole.split(special ? /[/\\]/ : '/'));
  return afterPath(url, rest);
}

function addSegments(url: Parts, segments: readonly string[]): void {
  const path = url.path as string[];
  for (const [index, raw] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (isDoubleDot(raw)) {
      shorten(url);
      if (isLast) path.push('');
    } else if (isSingleDot(raw)) {
      if (isLast) path.push('');
    } else {
      const drive = url.scheme === 'file' && path.length === 0 && isWindowsLetter(raw);
      path.push(drive ? `${raw[0]}:` : encoded(raw, inPath));
    }
  }
}

function opaquePath(url: Parts, text: string): Parts {
  const end = text.search(/[?#]/);
  const [whole, rest] = end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end)];
  // A space at the very end would be lost when it is read again.
  url.path = encoded(whole, none).replace(/ $/, rest === '' ? ' ' : '%20');
  return afterPath(url, rest);
}

function afterPath(url: Parts, text: string): Parts {
  const hash = text.indexOf('#');
  const query = hash < 0 ? text : text.slice(0, hash);
  if (query.startsWith('?')) url.query = encoded(query.slice(1), isSpecial(url) ? inSpecialQuery : inQuery);
  if (hash >= 0) url.fragment = encoded(text.slice(hash + 1), inFragment);
  return url;
}

function shownPath({ path }: Parts): string {
  return typeof path === 'string' ? path : path.map((segment) => `/${segment}`).join('');
}

function shown(url: Parts): string {
  const { scheme, username, password, host, port, path, query, fragment } = url;
  let text = `${scheme}:`;
  if (host !== null) {
    text += '//';
    if (username !== '' || password !== '') text += `${username}${password === '' ? '' : `:${password}`}@`;
    text += host + (port === null ? '' : `:${port}`);
  } else if (typeof path !== 'string' && path.length > 1 && path[0] === '') text += '/.';
  return text + shownPath(url) + (query === null ? '' : `?${query}`) + (fragment === null ? '' : `#${fragment}`);
}

// ── what the sources see ─────────────────────────────────────────────────────────────────────────────────────────────

export class URL {
  #parts: Parts;
  #params: URLSearchParams | undefined;

  constructor(input: string | URL, base?: string | URL) {
    try {
      this.#parts = parse(String(input), base === undefined ? undefined : parse(String(base)));
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: String(input) });
    }
  }

  static canParse(input: string | URL, base?: string | URL): boolean {
    return URL.parse(input, base) !== null;
  }
  static parse(input: string | URL, base?: string | URL): URL | null {
    try {
      return new URL(input, base);
    } catch {
      return null;
    }
  }

  get href(): string {
    return shown(this.#parts);
  }
  get origin(): string {
    const { scheme } = this.#parts;
    if (!isSpecial(this.#parts) || scheme === 'file') return 'null';
    return `${scheme}://${this.host}`;
  }
  get protocol(): string {
    return `${this.#parts.scheme}:`;
  }
  get username(): string {
    return this.#parts.username;
  }
  set username(text: string) {
    if (this.#mayHaveUser()) this.#parts.username = encoded(text, inUserinfo);
  }
  get password(): string {
    return this.#parts.password;
  }
  set password(text: string) {
    if (this.#mayHaveUser()) this.#parts.password = encoded(text, inUserinfo);
  }
  get host(): string {
    const { port } = this.#parts;
    return this.hostname + (port === null ? '' : `:${port}`);
  }
  get hostname(): string {
    return this.#parts.host ?? '';
  }
  get port(): string {
    return String(this.#parts.port ?? '');
  }
  get pathname(): string {
    return shownPath(this.#parts);
  }
  set pathname(text: string) {
    const parts = this.#parts;
    if (typeof parts.path === 'string') return;
    parts.path = [];
    const clean = text.toWellFormed().replaceAll(/[\t\n\r]/g, '');
    const special = isSpecial(parts);
    if (clean === '' && !special) return;
    // Here these are letters like others.
    const safe = clean.replaceAll('?', '%3F').replaceAll('#', '%23');
    addSegments(parts, safe.replace(special ? /^[/\\]/ : /^\//, '').split(special ? /[/\\]/ : '/'));
  }
  get search(): string {
    return this.#parts.query ? `?${this.#parts.query}` : '';
  }
  set search(text: string) {
    const clean = text
      .toWellFormed()
      .replaceAll(/[\t\n\r]/g, '')
      .replace(/^\?/, '');
    this.#parts.query =
      clean === '' && !text.startsWith('?') ? null : encoded(clean, isSpecial(this.#parts) ? inSpecialQuery : inQuery);
    this.#params?.reset(this.#parts.query ?? '');
  }
  get searchParams(): URLSearchParams {
    if (!this.#params) {
      this.#params = new URLSearchParams();
      this.#params.reset(this.#parts.query ?? '');
      this.#params.onChange = (query) => (this.#parts.query = query === '' ? null : query);
    }
    return this.#params;
  }
  get hash(): string {
    return this.#parts.fragment ? `#${this.#parts.fragment}` : '';
  }
  set hash(text: string) {
    const clean = text.toWellFormed().replaceAll(/[\t\n\r]/g, '');
    this.#parts.fragment = clean === '' ? null : encoded(clean.replace(/^#/, ''), inFragment);
  }
  toString(): string {
    return this.href;
  }
  toJSON(): string {
    return this.href;
  }

  #mayHaveUser(): boolean {
    const { host, scheme } = this.#parts;
    return host !== null && host !== '' && scheme !== 'file';
  }
}

type Pairs = [string, string][];

export class URLSearchParams {
  #pairs: Pairs = [];
  /** Of the URL that it belongs to. */
  onChange: ((query: string) => void) | undefined;

  constructor(init: string | Iterable<readonly [string, string]> | Readonly<Record<string, string>> = '') {
    if (typeof init === 'string') this.#pairs = formPairs(init.replace(/^\?/, ''));
    else if (Symbol.iterator in init) this.#pairs = Array.from(init, ([name, value]) => [text(name), text(value)]);
    else this.#pairs = Object.entries(init).map(([name, value]) => [text(name), text(value)]);
    Object.defineProperty(this, 'onChange', { enumerable: false, writable: true, value: undefined });
  }

  get size(): number {
    return this.#pairs.length;
  }
  append(name: string, value: string): void {
    this.#pairs.push([text(name), text(value)]);
    this.#changed();
  }
  delete(name: string, value?: string): void {
    this.#pairs = this.#pairs.filter(([key, has]) => key !== name || (value !== undefined && has !== value));
    this.#changed();
  }
  get(name: string): string | null {
    return this.#pairs.find(([key]) => key === name)?.[1] ?? null;
  }
  getAll(name: string): string[] {
    return this.#pairs.filter(([key]) => key === name).map(([, value]) => value);
  }
  has(name: string, value?: string): boolean {
    return this.#pairs.some(([key, has]) => key === name && (value === undefined || has === value));
  }
  set(name: string, value: string): void {
    const first = this.#pairs.find(([key]) => key === name);
    if (!first) return this.append(name, value);
    first[1] = text(value);
    this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== name);
    this.#changed();
  }
  sort(): void {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }
  forEach(callback: (value: string, name: string, params: URLSearchParams) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }
  *entries(): Generator<[string, string]> {
    for (const [name, value] of this.#pairs) yield [name, value];
  }
  *keys(): Generator<string> {
    for (const [name] of this.#pairs) yield name;
  }
  *values(): Generator<string> {
    for (const [, value] of this.#pairs) yield value;
  }
  [Symbol.iterator](): Generator<[string, string]> {
    return this.entries();
  }
  toString(): string {
    return this.#pairs.map((pair) => pair.map(formEncoded).join('=')).join('&');
  }
  /** What its URL was given. */
  reset(query: string): void {
    this.#pairs = formPairs(query);
  }
  #changed(): void {
    this.onChange?.(this.toString());
  }
}

const text = (value: unknown): string => String(value).toWellFormed();

function formPairs(query: string): Pairs {
  const decoded = (part: string): string => decoder.decode(decodedBytes(part.replaceAll('+', ' ')));
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [decoded(part), ''] : [decoded(part.slice(0, at)), decoded(part.slice(at + 1))];
    });
}

function formEncoded(value: string): string {
  let result = '';
  for (const byte of encoder.encode(value)) {
    const letter = String.fromCharCode(byte);
    result += letter === ' ' ? '+' : /[A-Za-z0-9*._-]/.test(letter) ? letter : hex(byte);
  }
  return result;
}
