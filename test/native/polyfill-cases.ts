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

/** What signals and timers do, in the order in which they do it. */
const scenarios: Readonly<Record<string, (say: (what: unknown) => void) => Promise<void> | void>> = {
  'a signal fires once, with its reason': (say) => {
    const controller = new AbortController();
    controller.signal.addEventListener('abort', ({ type }) => say(type));
    controller.signal.addEventListener('abort', () => say('once'), { once: true });
    controller.abort('why');
    controller.abort('again');
    say([controller.signal.aborted, controller.signal.reason]);
    say(attempt(() => controller.signal.throwIfAborted()));
  },
  'without a reason it is an AbortError': (say) => {
    const controller = new AbortController();
    controller.abort();
    say(attempt(() => controller.signal.throwIfAborted()));
    say(attempt(() => AbortSignal.abort().throwIfAborted()));
    say(controller.signal.reason instanceof DOMException && controller.signal.reason instanceof Error);
  },
  'a listener that is removed or given twice': (say) => {
    const { signal } = new AbortController();
    const target = new EventTarget();
    const one = (): void => say('one');
    target.addEventListener('x', one);
    target.addEventListener('x', one);
    target.addEventListener('x', { handleEvent: ({ type }) => say(type) });
    target.addEventListener('x', () => target.removeEventListener('x', last));
    const last = (): void => say('not here');
    target.addEventListener('x', last);
    say(target.dispatchEvent(new Event('x')));
    target.removeEventListener('x', one);
    target.dispatchEvent(new Event('x'));
    say(signal.aborted);
  },
  'a listener that goes with a signal': (say) => {
    const controller = new AbortController();
    const target = new EventTarget();
    target.addEventListener('x', () => say('heard'), { signal: controller.signal });
    target.dispatchEvent(new Event('x'));
    controller.abort();
    target.dispatchEvent(new Event('x'));
  },
  'any of several': (say) => {
    const [a, b] = [new AbortController(), new AbortController()];
    const any = AbortSignal.any([a.signal, b.signal]);
    const nested = AbortSignal.any([any]);
    any.addEventListener('abort', () => say(['any', nested.aborted, any.reason]));
    nested.addEventListener('abort', () => say(['nested', any.aborted]));
    b.signal.addEventListener('abort', () => say(['b', any.aborted]));
    b.abort(7);
    a.abort(8);
    say([any.reason, nested.reason, AbortSignal.any([a.signal, b.signal]).reason, AbortSignal.any([]).aborted]);
  },
  'a signal by time': async (say) => {
    const signal = AbortSignal.timeout(5);
    say(signal.aborted);
    await new Promise((resolve) => setTimeout(resolve, 40));
    say([signal.aborted, (signal.reason as Error).name, (signal.reason as DOMException).code]);
    say(attempt(() => AbortSignal.timeout(-1)));
    say(attempt(() => new (AbortSignal as unknown as new () => unknown)()) !== undefined);
  },
  'timers in their order, before them promises': async (say) => {
    setTimeout(() => say('timer 2'), 2);
    setTimeout(() => say('timer 1'), 1);
    setTimeout((a: number, b: number) => say(['values', a, b]), 3, 1, 2);
    const stopped = setTimeout(() => say('not here'), 1);
    queueMicrotask(() => say('microtask'));
    void Promise.resolve().then(() => say('promise'));
    clearTimeout(stopped);
    clearTimeout(undefined);
    say('now');
    await new Promise((resolve) => setTimeout(resolve, 60));
  },
  'an interval until it is stopped': async (say) => {
    let count = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        say((count += 1));
        if (count < 3) return;
        clearInterval(timer);
        setTimeout(resolve, 20);
      }, 2);
    });
    say(structuredClone({ a: [1, new Map([[1, { b: 2 }]])], c: null }).a.length);
  },
};

async function played(): Promise<unknown> {
  const said: Record<string, unknown[]> = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    const mine: unknown[] = (said[name] = []);
    await scenario((what) => void mine.push(what));
  }
  return said;
}

export async function answers({ urls, queries, texts, bytes, base64 }: Cases): Promise<unknown> {
  return {
    played: await played(),
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
    base64: base64.map((text) =>
      attempt(() =>
        atob(text)
          .split('')
          .map((letter) => letter.charCodeAt(0)),
      ),
    ),
  };
}
