/** Addresses as they are shown to people: in messages, plans, records. Pure. */

/** Without user, password and query: those may be secrets. */
export function shownAddress(address: string): string {
  if (!URL.canParse(address)) return 'an address that is none';
  if (!holdsSecret(address)) return address;
  const { protocol, host, pathname, search } = new URL(address);
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`;
}

/** A user and password in an address, or a query, which is where signed addresses have their signature. */
export function holdsSecret(address: string): boolean {
  return /^[a-z]+:\/\/(?:[^/?#]*@|[^?#]*\?)/i.test(address);
}
