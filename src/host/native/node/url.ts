/** Of `node:url` what the shared sources use. */
export function pathToFileURL(path: string): URL {
  const url = new URL('file:///');
  url.pathname = path
    .replaceAll('%', '%25')
    .replaceAll('\\', '%5C')
    .replaceAll('\n', '%0A')
    .replaceAll('\r', '%0D')
    .replaceAll('\t', '%09');
  return url;
}
