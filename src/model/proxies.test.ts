import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
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
  });

  it('is named without a scheme, too, as curl and Go take it', () => {
    const cases: readonly [proxy: string, used: string][] = [
      ['127.0.0.1:3128', 'http://127.0.0.1:3128'],
      ['localhost:3128', 'http://localhost:3128'],
      ['proxy.example.org', 'http://proxy.example.org'],
      ['user:secret@proxy:3128', 'http://user:secret@proxy:3128'],
      ['[::1]:3128', 'http://[::1]:3128'],
      ['HTTP://proxy:1', 'HTTP://proxy:1'],
      ['https://proxy:1', 'https://proxy:1'],
    ];
    for (const [proxy, used] of cases) {
      assert.equal(chosen('http://host/', { proxy }), used);
      assert.equal(chosen('http://host/', { environment: { http_proxy: proxy } }), used);
      assert.equal(chosen('https://host/', { environment: { HTTPS_PROXY: proxy } }), used);
    }
  });

  it('is never passed over: what is none, and what is not spoken here, is said without its password', () => {
    for (const proxy of ['socks5://user:secret@a:1', 'ftp://secret@a', 'a b:1', 'http://', 'host:secret', ':'])
      for (const settings of [{ proxy }, { environment: { HTTP_PROXY: proxy } }]) {
        const refused = (thrown: unknown): boolean =>
          thrown instanceof NodekilnError && thrown.code === 'NK_USAGE' && !thrown.message.includes('secret');
        assert.throws(() => chosen('http://host/', settings), refused, proxy);
        assert.equal(chosen('http://host/', { ...settings, noProxy: 'host' }), undefined);
      }
  });

  it('is none for hosts that are excepted', () => {
    const cases: readonly [noProxy: string, url: string, excepted: boolean][] = [
      ['*', 'http://any/', true],
      ['example.com', 'http://example.com/', true],
      ['example.com', 'http://EXAMPLE.com/', true],
      ['example.com', 'http://sub.example.com/', true],
      ['example.com', 'http://badexample.com/', false],
      ['example.com:8443', 'https://sub.example.com:8443/', true],
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
      ['10.0.0.1-10.0.0.9', 'http://[::a00:5]/', false],
      ['::1', 'http://[::1]:8080/', true],
      ['0:0::1', 'http://[::1]:8080/', true],
      ['[::1]', 'http://[::1]/', true],
      ['[::1]:8080', 'http://[::1]:8080/', true],
      ['[::1]:8080', 'http://[::1]/', false],
      ['127.0.0.0/8', 'http://127.0.0.1:8080/', true],
      ['10.0.0.0/8,127.0.0.0/8', 'http://127.0.0.1/', true],
      ['127.0.0.1/32', 'http://127.0.0.1/', true],
      ['10.0.0.0/8', 'http://127.0.0.1/', false],
      ['10.0.0.0/8', 'http://10.example.com/', false],
      ['0.0.0.0/0', 'http://10.1.2.3/', true],
      ['0.0.0.0/0', 'http://[fd00::1]/', false],
      ['fd00::/8', 'http://[fd12::1]/', true],
      ['fd00::/8', 'http://[fe80::1]/', false],
      ['10.0.0.7:8080', 'http://10.0.0.7:8080/', true],
      ['10.0.0.7:8080', 'http://10.0.0.7/', false],
      ['0.7', 'http://10.0.0.7/', false],
      ['.', 'http://b/', false],
      ['a, b ,c', 'http://b/', true],
      ['a b\tc', 'http://b/', true],
      ['10.0.0.0/8 192.168.0.0/16', 'http://192.168.1.1/', true],
      ['example.com.', 'http://example.com/', true],
      ['example.com', 'http://sub.example.com./', true],
      ['bücher.example', 'http://xn--bcher-kva.example/', true],
      ['xn--bcher-kva.example', 'http://bücher.example/', true],
      ['10.0.0.0/8', 'http://[::ffff:10.0.0.7]/', true],
      ['11.0.0.0/8', 'http://[::ffff:10.0.0.7]/', false],
      ['::ffff:10.0.0.7', 'http://[::ffff:10.0.0.7]/', true],
      ['::ffff:10.0.0.7', 'http://10.0.0.7/', true],
      ['[fd00::1]', 'http://[FD00:0::1]/', true],
      ['fd00::1', 'http://[fd00::2]/', false],
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
