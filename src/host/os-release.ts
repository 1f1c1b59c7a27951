/** os-release(5): `KEY=value` lines, values bare or quoted as in a shell. Pure. */
export function parseOsRelease(content: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    content.split('\n').flatMap((line) => {
      const match = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim());
      return match?.[1] !== undefined && match[2] !== undefined ? [[match[1], unquote(match[2])]] : [];
    }),
  );
}

function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(value);
  return quoted?.[2] !== undefined ? quoted[2].replace(/\\(["'$`\\])/g, '$1') : value;
}
