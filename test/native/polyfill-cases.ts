/** What is asked of Node and of the host program alike. Text goes as UTF-16 numbers, so that lone surrogates arrive. */

export interface Cases {
  readonly urls: readonly (readonly [url: string, base?: string])[];
  readonly queries: readonly string[];
  readonly texts: readonly (readonly number[])[];
  readonly bytes: readonly (readonly number[])[];
  readonly base64: readonly string[];
}

const textOf = (codes: readonly number[]): string => codes.map((code) => String.fromCharCode(code)).join('');

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (thrown) {
    const { name, code } = thrown as { name: string; code?: unknown };
    return { name, code };
  }
}

function urlParts(url: URL): unknown {
  const { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash } = url;
  const params = [...url.searchParams];
  return { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash, params };
}

function changed(url: URL): unknown {
  url.search = "?a=b c&d='";
  url.searchParams.set('a', 'ü &=');
  url.searchParams.append('e', '');
  url.hash = 'x y';
  url.pathname = '/p/../q r?s#t';
  url.username = 'a:b';
  url.password = 'c@d';
  return url.href;
}

export function answers({ urls, queries, texts, bytes, base64 }: Cases): unknown {
  return {
    urls: urls.map(([url, base]) =>
      attempt(() => [urlParts(new URL(url, base)), changed(new URL(url, base)), URL.canParse(url, base)]),
    ),
    queries: queries.map((query) => {
      const params = new URLSearchParams(query);
      const [first] = params.keys();
      const said = [String(params), params.size, params.get('a'), params.getAll('a'), params.has('b')];
      params.set(first ?? 'x', 'y z');
      params.append('a', '1');
      params.sort();
      params.delete('b');
      return [...said, String(params), String(new URLSearchParams({ a: query }))];
    }),
    texts: texts.map((codes) => {
      const text = textOf(codes);
      return [[...new TextEncoder().encode(text)], attempt(() => btoa(text))];
    }),
    bytes: bytes.map((numbers) => {
      const given = Uint8Array.from(numbers);
      const streamed = new TextDecoder();
      let pieces = '';
      for (let at = 0; at < given.length; at += 3)
        pieces += streamed.decode(given.subarray(at, at + 3), { stream: true });
      return [
        new TextDecoder().decode(given),
        new TextDecoder('utf8', { ignoreBOM: true }).decode(given),
        attempt(() => new TextDecoder('utf-8', { fatal: true }).decode(given)),
        pieces + streamed.decode(),
      ];
    }),
    base64: base64.map((text) => attempt(() => [...atob(text)].map((letter) => letter.charCodeAt(0)))),
  };
}
