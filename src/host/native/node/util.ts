/** Of `node:util` what the shared sources use. */
type Done<Result> = (error: unknown, result: Result) => void;

export function promisify<Values extends unknown[], Result>(
  call: (...values: [...Values, Done<Result>]) => void,
): (...values: Values) => Promise<Result> {
  return (...values) =>
    new Promise((resolve, reject) =>
      call(...values, (error, result) => {
        if (error) reject(error);
        else resolve(result);
      }),
    );
}

/** Of plain data. */
export function isDeepStrictEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const keys = Object.keys(a);
  return (
    Object.getPrototypeOf(a) === Object.getPrototypeOf(b) &&
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isDeepStrictEqual(a[key as never], b[key as never]))
  );
}
