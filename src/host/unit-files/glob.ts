/** Shell patterns as `systemctl list-units` takes them: `*`, `?` and `[…]`; nothing is special about slashes or dots. */
export function matchesGlob(pattern: string, name: string): boolean {
  const source = pattern.replace(
    /\[(!?)([^\]]*)\]|[*?]|[.+^${}()|\\[\]]/g,
    (whole, not: string | undefined, set: string | undefined) => {
      if (whole === '*') return '.*';
      if (whole === '?') return '.';
      if (set) return `[${not ? '^' : ''}${set.replaceAll('\\', '\\\\')}]`;
      return `\\${whole}`;
    },
  );
  return new RegExp(`^${source}$`, 's').test(name);
}
