/** Documents by a schema: right ones by choice among what its parts take, and spoilt ones. */
import type { $ZodType, $ZodTypes } from 'zod/v4/core';
import type { Chance } from '../../test/support/chance.ts';
import { exampleAuthority } from '../../test/support/authority.ts';

/** Texts that some schema takes, beside those that messages give as examples. */
const texts = [
  'a',
  'node-1',
  'kubelet.service',
  'getty@tty1.service',
  '50-limits.conf',
  '/',
  '/etc/motd',
  '/opt/tools/x',
  '/etc/kubernetes/kubelet.conf',
  '/dev/null',
  'relative/path',
  '0644',
  '90s',
  '1h30m',
  '2GiB',
  `sha256:${'0a'.repeat(32)}`,
  '1.34',
  '1.34.3',
  'v1.34.3',
  '1.34.3-1.1',
  'https://api.example.org:6443',
  'https://example.org/{tool}/{version}',
  'http://user:secret@proxy.example.org:3128',
  'socks5://proxy:1080',
  'registry.example/team/{tool}:{tag}',
  'registry.example:5000',
  'registry.k8s.io/pause:3.10',
  'registry.example/extensions/kubernetes',
  '[fd00::1]:5000',
  '_default',
  '10.0.0.10',
  'fd00::a',
  '10.0.0.2,fd00::2',
  '10.88.0.0/24',
  '10.88.0.0/24,fd00:88::/64',
  'podCIDR',
  'abcdef.0123456789abcdef',
  'kube-system/pool-a',
  'secret:kube-system/pool-a',
  'dir:/etc/nodekiln/desired',
  'unix:/run/nodekiln/agent.sock',
  '127.0.0.1:2752',
  'nodekiln-agent-{node}',
  'example.org/zone',
  'br_netfilter',
  'net.ipv4.ip_forward',
  'unit:containerd.service',
  'file:/etc/motd',
  'SGVsbG8=',
  'HTTP_PROXY',
  '[Service]\nExecStart=/bin/true\n',
  exampleAuthority,
];

const numbers = [0, 1, 2, 68, 384, 493, 1500, 4095, 65_535, 2 ** 32 - 2, 1.5, -1, Number.MAX_SAFE_INTEGER];

const oddTexts = [
  '',
  ' ',
  '\n',
  'a\nb',
  'a\0b',
  'a\tb',
  'a\r\nb',
  'x\u0085y',
  '\u{1f600}',
  '\u{1f600}'.repeat(253),
  'y'.repeat(254),
  'z'.repeat(5000),
  '../up',
  '/a/../b',
  '{ver}',
  'https://',
  'constructor',
  '__proto__',
];

const odd: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => true,
  () => false,
  () => 0,
  () => -0.5,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => 2 ** 53,
  () => -(2 ** 60),
  () => 1e21,
  () => [],
  () => [null],
  () => [[], 'x', { name: 'x' }],
  () => ({}),
  () => ({ name: 'x', path: '/etc/x' }),
  () => ({ constructor: 1 }),
  () => JSON.parse('{"__proto__": {"a": 1}}') as unknown,
  () => ({ a: { b: { c: { d: { e: [1, { f: null }] } } } } }),
  ...oddTexts.map((text) => () => text),
];

export class Documents {
  readonly #chance: Chance;
  readonly #texts: readonly string[];
  readonly #taken = new Map<$ZodType, readonly unknown[]>();

  constructor(chance: Chance, schemas: Iterable<$ZodType>) {
    this.#chance = chance;
    const examples = new Set<string>(texts);
    for (const schema of schemas) for (const text of examplesOf(schema as $ZodTypes)) examples.add(text);
    this.#texts = [...examples];
  }

  /** As a rule it is right. */
  like(schema: $ZodType): unknown {
    const value = this.#like(schema as $ZodTypes);
    for (let i = 0; i < 3 && !takes(schema, value); i++) {
      const again = this.#like(schema as $ZodTypes);
      if (takes(schema, again)) return again;
    }
    return value;
  }

  /** The document with one to three places changed; changed in place where it is a map or a list. */
  spoil(document: unknown): unknown {
    let spoilt = document;
    for (let left = 1 + Math.floor(this.#chance.next() * 3); left > 0; left--) spoilt = this.#spoilOnce(spoilt);
    return spoilt;
  }

  #like(schema: $ZodTypes): unknown {
    const { def } = schema._zod;
    const likely = (share: number): boolean => this.#chance.next() < share;
    const several = (): null[] => Array<null>(Math.floor(this.#chance.next() * 3.5)).fill(null);
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- of zod's types these are used
    switch (def.type) {
      case 'string':
        return this.#oneOf(schema, this.#texts);
      case 'number':
        return this.#oneOf(schema, numbers);
      case 'boolean':
        return likely(0.5);
      case 'literal':
        return this.#one(def.values);
      case 'enum':
        return this.#one(Object.values(def.entries));
      case 'optional':
        return this.like(def.innerType);
      case 'nullable':
        return likely(0.2) ? null : this.like(def.innerType);
      case 'array':
        return several().map(() => this.like(def.element));
      case 'record':
        return Object.fromEntries(several().map(() => [String(this.like(def.keyType)), this.like(def.valueType)]));
      case 'union':
        return this.like(this.#one(def.options));
      case 'object': {
        const entries = Object.entries(def.shape).filter(([, { _zod }]) => _zod.optin === undefined || likely(0.3));
        const known = Object.fromEntries(entries.map(([key, field]) => [key, this.like(field)]));
        return def.catchall?._zod.def.type === 'unknown' && likely(0.2) ? { ...known, other: this.#any() } : known;
      }
      default:
        return this.#any();
    }
  }

  #spoilOnce(document: unknown): unknown {
    const places: { readonly holder: Record<string, unknown>; readonly key: string }[] = [];
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      for (const [key, inner] of Object.entries(value)) {
        places.push({ holder: value as Record<string, unknown>, key });
        walk(inner);
      }
    };
    walk(document);
    if (places.length === 0 || this.#chance.next() < 0.02) return this.#any();
    const { holder, key } = this.#one(places);
    const other = this.#one(places);
    const ways: readonly (() => void)[] = [
      () => (holder[key] = this.#any()),
      () => (holder[key] = this.#one(this.#texts)),
      () => (holder[key] = structuredClone(other.holder[other.key])),
      () => {
        if (Array.isArray(holder)) holder.push(this.#any());
        else holder[this.#one(['added', 'constructor', ...oddTexts, ...this.#texts])] = this.#any();
      },
      () => (Array.isArray(holder) ? holder.push(structuredClone(holder[0])) : delete holder[key]),
      () => (Array.isArray(holder) ? holder.splice(Number(key), 1) : delete holder[key]),
      () => {
        const value = holder[key];
        if (typeof value === 'string') holder[key] = this.#changed(value);
        else if (typeof value === 'number') holder[key] = value + this.#one([-1, 0.5, 1, 2 ** 33, 2 ** 53]);
        else holder[key] = [value];
      },
    ];
    this.#one(ways)();
    return document;
  }

  #changed(text: string): string {
    const at = Math.floor(this.#chance.next() * (text.length + 1));
    const added = this.#one(['', 'x', 'A', '/', ' ', '\n', '\0', '.', '{', '@', '\u{1f600}', text]);
    return text.slice(0, at) + added + text.slice(at + Math.floor(this.#chance.next() * 3));
  }

  #any(): unknown {
    return this.#one(odd)();
  }

  #one<Value>(values: readonly Value[]): Value {
    return this.#chance.pick(values as readonly [Value, ...Value[]]);
  }

  /** One that the schema takes, when there is one. */
  #oneOf(schema: $ZodType, values: readonly unknown[]): unknown {
    let taken = this.#taken.get(schema);
    if (!taken) {
      const right = values.filter((value) => takes(schema, value));
      taken = right.length > 0 ? right : values;
      this.#taken.set(schema, taken);
    }
    return this.#one(taken);
  }
}

function takes(schema: $ZodType, value: unknown): boolean {
  const result = schema._zod.run({ value, issues: [] }, { async: false });
  return !(result instanceof Promise) && result.issues.length === 0;
}

/** What messages quote. */
function* examplesOf(schema: $ZodTypes, seen = new Set<$ZodType>()): Generator<string> {
  if (seen.has(schema)) return;
  seen.add(schema);
  const { def } = schema._zod;
  const said = def.error?.({ code: 'custom', input: undefined, path: [] } as never);
  if (typeof said === 'string') for (const [, text = ''] of said.matchAll(/"([^"]+)"/g)) yield text;
  const inner: readonly $ZodType[] =
    def.type === 'object'
      ? Object.values(def.shape)
      : def.type === 'array'
        ? [def.element]
        : def.type === 'record'
          ? [def.keyType, def.valueType]
          : def.type === 'union'
            ? def.options
            : def.type === 'optional' || def.type === 'nullable'
              ? [def.innerType]
              : [];
  for (const one of inner) yield* examplesOf(one as $ZodTypes, seen);
}
