/** What the language does not have and the sources take for granted. Loaded before everything else. */
import './process.ts';
import { randomUUID } from '../node/crypto.ts';
import { AbortController, AbortSignal, DOMException, Event, EventTarget } from './abort.ts';
import { performance } from './performance.ts';
import { atob, btoa, TextDecoder, TextEncoder } from './text.ts';
import { clearTimeout, queueMicrotask, setImmediate, setInterval, setTimeout } from './timers.ts';
import { URL, URLSearchParams } from './url.ts';

Object.assign(globalThis, {
  AbortController,
  AbortSignal,
  DOMException,
  Event,
  EventTarget,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  atob,
  btoa,
  crypto: { randomUUID },
  performance,
  queueMicrotask,
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval: clearTimeout,
  clearImmediate: clearTimeout,
  structuredClone,
});

/** Of plain data. */
function structuredClone(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(structuredClone);
  if (value instanceof Map)
    return new Map(Array.from(value, ([key, of]) => [structuredClone(key), structuredClone(of)]));
  if (value instanceof Set) return new Set(Array.from(value, structuredClone));
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, structuredClone(of)]));
}
