/**
 * Addresses as they are shown to people: in messages, plans, records. Pure.
 *
 * Shown are scheme, host, port and path. User, password, query and fragment may be secrets (signed addresses have their
 * signature there), and so may all of a text that cannot be told apart: no part of it is shown.
 */
import { reveal, type Address } from './resources.ts';

/** In place of one that cannot be told apart. */
export const addressNotShown = 'an address that is none';

/** As resources have it. */
export function addressOf(text: string): Address {
  return holdsSecret(text) ? { sensitive: text } : text;
}

/** Without user, password, query and fragment. */
export function shownAddress(of: Address): string {
  const address = reveal(of);
  if (!mayHoldSecret(address)) return URL.canParse(address) ? address : addressNotShown;
  const parts = partsOf(address);
  if (!parts) return addressNotShown;
  const { head, url } = parts;
  return `${head}${url.host}${url.pathname}${url.search === '' ? '' : '?…'}${url.hash === '' ? '' : '#…'}`;
}

/** What a program said, with each address in it as it is shown. */
export function shownText(text: string): string {
  return text.replaceAll(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"<>]+/gi, (address) =>
    holdsSecret(address) ? shownAddress(address) : address,
  );
}

/**
 * Of an address: a user or password, a query or a fragment; or what stands before or after a mark of one of these and cannot
 * be told apart. A reference by digest and a path with "@" in it have none.
 */
export function holdsSecret(address: string): boolean {
  if (!mayHoldSecret(address)) return false;
  const parts = partsOf(address);
  if (!parts) return true;
  const { username, password, search, hash } = parts.url;
  return `${username}${password}${search}${hash}` !== '';
}

/**
 * Of a text that may be anything, as one in a place that it does not belong in: the same, where it looks like an address or
 * like a user with a password. Paths (`/a:b@c`) and ids (`unit:getty@tty1.service`) do not.
 */
export function looksSecret(text: string): boolean {
  return (/[/\\]{2}/.test(text) || withUser.test(text)) && holdsSecret(text);
}

const withUser =
  /^(?!(?:file|unit|binary|extension|image|kernel|action|dir|secret|unix):)[^\s/:@]+:[^@\uff20%]+(?:[@\uff20]|%40)[^\s/:@]/i;

/** Marks before which a user and password, and after which a query or fragment may be; in whatever spelling a reader takes. */
const marks = /[@?#\uff20\uff1f\uff03]|%40/i;

function mayHoldSecret(text: string): boolean {
  return marks.test(withoutDigest(text));
}

/** `registry.example/a@sha256:…` */
function withoutDigest(text: string): string {
  return text.replace(/(?:@sha\d{3}:[0-9a-f]{40,}|(?<=\/.*)@sha\d{3}:[0-9a-f]*)$/i, '');
}

/** With any scheme, none (`//host/path`), or not even the slashes. */
function partsOf(address: string): { readonly head: string; readonly url: URL } | undefined {
  const [, scheme = '', slashes = ''] = /^\s*([a-z][a-z0-9+.-]*:)?([/\\]{2})?/i.exec(address) ?? [];
  const hasScheme = scheme !== '' && slashes !== '';
  const rest = hasScheme ? address.slice(address.indexOf(':') + 1) : address;
  const url = URL.parse(slashes === '' ? `http://${rest}` : `http:${rest.trimStart()}`);
  if (!url) return undefined;
  // `user:12/34@host`: what looks like a host with a port may be a user with the beginning of a password.
  if (mayHoldSecret(url.pathname) && (url.port !== '' || !hasScheme)) return undefined;
  return { head: `${hasScheme ? scheme.toLowerCase() : ''}${slashes && '//'}`, url };
}
