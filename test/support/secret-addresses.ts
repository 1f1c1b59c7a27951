/** Addresses with a password or a signature, in every spelling that somebody may write, for what must show none of them. */

export const secretAddresses = [
  'https://user:hunter2@registry.example.org/a',
  'https://hunter2@registry.example.org/a',
  'HTTPS://User:hunter2@Registry.example.org:5000',
  'https://user:p%40hunter2@registry.example.org/a',
  'https://user:p@hunter2@registry.example.org/a',
  'https://user:p/hunter2@registry.example.org/a',
  'https://user:пароль-hunter2@registry.example.org/a',
  'https://user:{hunter2}@registry.example.org/a',
  'https://user:hunter2@[2001:db8::1]:5000/a',
  'http://user:hunter2@127.0.0.1:8080/healthz',
  'socks5://user:hunter2@proxy.example.org:1080',
  '//user:hunter2@registry.example.org/a',
  'user:hunter2@registry.example.org/a:v1',
  'user:hunter2@registry.example.org:5000',
  'https://registry.example.org/a?sig=hunter2',
  'https://registry.example.org/a?a=b&sig=hunter2&c=d',
  'https://registry.example.org/a#hunter2',
  // Wrong wherever it stands.
  'https://user:hunter2@registry.example.org/a\u0007',
  ' https://user:hunter2@registry.example.org/a\n',
] as const;

/** The secret of each; cut off in the middle, too. */
export const secret = /hunte/i;

/** For messages of tests. */
export function around(text: string): string {
  const at = text.search(secret);
  return text.slice(Math.max(0, at - 300), at + 100);
}
