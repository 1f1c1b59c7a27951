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
