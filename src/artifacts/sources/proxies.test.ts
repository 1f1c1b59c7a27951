import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proxyFor } from './proxies.ts';

const chosen = (url: string, settings: Parameters<typeof proxyFor>[1]): string | undefined =>
  proxyFor(new URL(url), settings);

describe('the proxy for an address', () => {
  it('is the one given, for both kinds of addresses', () => {
    const settings = { proxy: 'http://user:secret@proxy:3128', environment: { HTTPS_PROXY: 'http://other:1' } };
    assert.equal(chosen('http://host/x', settings), settings.proxy);
    assert.equal(chosen('https://host/x', settings), settings.proxy);
  });

  it('is the variables’ otherwise, the lower-case spelling first, empty ones left out', () => {
    const environment = {
      HTTP_PROXY: 'http://a:1',
      http_proxy: '',
      https_proxy: 'http://b:2',
      HTTPS_PROXY: 'http://c:3',
    };
    assert.equal(chosen('http://host/', { environment }), 'http://a:1');
    assert.equal(chosen('https://host/', { environment }), 'http://b:2');
    assert.equal(chosen('http://host/', { environment: {} }), undefined);
    assert.equal(chosen('http://host/', {}), undefined);
    assert.equal(chosen('http://host/', { environment: { HTTP_PROXY: 'socks5://a:1' } }), undefined);
  });

  it('is none for hosts that are excepted', () => {
    const cases: readonly [noProxy: string, url: string, excepted: boolean][] = [
      ['*', 'http://any/', true],
      ['example.com', 'http://example.com/', true],
      ['example.com', 'http://EXAMPLE.com/', true],
      ['example.com', 'http://sub.example.com/', false],
      ['.example.com', 'http://sub.example.com/', true],
      ['.example.com', 'http://example.com/', true],
      ['.example.com', 'http://badexample.com/', false],
      ['*.example.com', 'http://sub.example.com/', true],
      ['*.example.com', 'http://example.com/', false],
      ['example.com:8443', 'https://example.com:8443/', true],
      ['example.com:8443', 'https://example.com/', false],
      ['example.com:443', 'https://example.com/', true],
      ['10.0.0.7', 'http://10.0.0.7/', true],
      ['10.0.0.1 - 10.0.0.9', 'http://10.0.0.7/', true],
      ['10.0.0.1-10.0.0.9', 'http://10.0.0.10/', false],
      ['10.0.0.1-10.0.0.9', 'http://host/', false],
      ['::1', 'http://[::1]:8080/', true],
      ['a, b ,c', 'http://b/', true],
      ['', 'http://b/', false],
    ];
    for (const [noProxy, url, excepted] of cases) {
      const settings = { proxy: 'http://p:1', noProxy };
      assert.equal(chosen(url, settings), excepted ? undefined : 'http://p:1', `${noProxy} and ${url}`);
      const environment = { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://p:1', NO_PROXY: noProxy };
      assert.equal(chosen(url, { environment }), excepted ? undefined : 'http://p:1', `${noProxy} and ${url}`);
    }
  });
});
