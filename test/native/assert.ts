/** Of `node:assert/strict` what the expectations use. */

class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

function fail(message: string | Error | undefined, otherwise: string): never {
  throw message instanceof Error
    ? message
    : new AssertionError(message === undefined ? otherwise : `${message}: ${otherwise}`);
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each)) ?? String(value);
}

function assert(value: unknown, message?: string | Error): asserts value {
  if (!value) fail(message, `${shown(value)} is not true`);
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Set && b instanceof Set) return a.size === b.size && [...a].every((each) => b.has(each));
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && same(value, b.get(key)));
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same((a as never)[key], (b as never)[key]))
  );
}

type Expected = RegExp | (new (...values: never[]) => unknown) | ((thrown: unknown) => boolean) | object;

function checkThrown(thrown: unknown, expected: Expected | undefined): void {
  if (expected === undefined) return;
  if (expected instanceof RegExp) return assert(expected.test(String(thrown)), `${String(thrown)} is not ${expected}`);
  if (typeof expected === 'function') {
    if (expected.prototype instanceof Error || expected === (Error as unknown))
      return assert(thrown instanceof (expected as new () => unknown), `${String(thrown)} is another error`);
    return assert((expected as (value: unknown) => boolean)(thrown), `${String(thrown)} was not expected`);
  }
  for (const [key, wanted] of Object.entries(expected)) {
    const found = (thrown as Record<string, unknown>)[key];
    const met = wanted instanceof RegExp && typeof found === 'string' ? wanted.test(found) : same(found, wanted);
    if (!met)
      fail(
        undefined,
        `${key} is ${shown(found)}, not ${String(wanted)}: ${String(thrown)}\n${(thrown as Error).stack}`,
      );
  }
}

// oxlint-disable-next-line import/no-default-export -- as the module that it stands for
export default Object.assign(assert, {
  ok: assert,
  fail: (message?: string | Error) => fail(message, 'failed'),
  equal: (a: unknown, b: unknown, message?: string | Error) =>
    void (Object.is(a, b) || fail(message, `${shown(a)} is not ${shown(b)}`)),
  notEqual: (a: unknown, b: unknown, message?: string | Error) =>
    void (!Object.is(a, b) || fail(message, `both are ${shown(a)}`)),
  deepEqual: (a: unknown, b: unknown, message?: string | Error) =>
    void (same(a, b) || fail(message, `${shown(a)} is not ${shown(b)}`)),
  notDeepEqual: (a: unknown, b: unknown, message?: string | Error) =>
    void (!same(a, b) || fail(message, `both are ${shown(a)}`)),
  match: (text: string, pattern: RegExp, message?: string | Error) =>
    void (pattern.test(text) || fail(message, `${shown(text)} is not ${pattern}`)),
  doesNotMatch: (text: string, pattern: RegExp, message?: string | Error) =>
    void (!pattern.test(text) || fail(message, `${shown(text)} is ${pattern}`)),
  throws: (work: () => unknown, expected?: Expected): void => {
    try {
      work();
    } catch (thrown) {
      return checkThrown(thrown, expected);
    }
    fail(undefined, 'nothing was thrown');
  },
  rejects: async (work: Promise<unknown> | (() => Promise<unknown>), expected?: Expected): Promise<void> => {
    try {
      await (typeof work === 'function' ? work() : work);
    } catch (thrown) {
      return checkThrown(thrown, expected);
    }
    fail(undefined, 'nothing was rejected');
  },
});
