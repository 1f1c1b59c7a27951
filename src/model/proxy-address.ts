/** Addresses of HTTP proxies. Pure. */

/**
 * `http://proxy:3128` of `proxy:3128`, as curl and Go take a proxy without scheme; else as it is. Undefined for what is no
 * address, and for kinds of proxies that are not spoken here.
 */
export function proxyAddress(text: string): string | undefined {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.parse(address);
  return url && (url.protocol === 'http:' || url.protocol === 'https:') && !/\s/.test(text) ? address : undefined;
}
