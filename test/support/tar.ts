/** Tar and cpio archives written by hand, for tests that need to know every byte. Sources: tar(5), cpio(5). */

export interface TarMember {
  readonly name: string;
  /** The type's character; a regular file unless told. */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly target?: string;
  /** What the header claims. */
  readonly size?: number;
}

export function tarHeader(member: TarMember): Buffer {
  const header = Buffer.alloc(512);
  header.write(member.name, 0);
  header.write('0000755\0', 100);
  header.write((member.size ?? contentOf(member).length).toString(8).padStart(11, '0'), 124);
  header.write('        ', 148);
  header.write(member.type ?? '0', 156);
  header.write(member.target ?? '', 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

export function tar(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap((member) => {
    const content = contentOf(member);
    return [tarHeader(member), content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function contentOf({ content = '' }: TarMember): Buffer {
  return Buffer.from(typeof content === 'string' ? Buffer.from(content) : content);
}

export interface CpioMember {
  readonly name: string;
  readonly content?: string;
  readonly links?: number;
  /** RPM's stripped form: an index into the header's list in place of all the rest. */
  readonly index?: number;
}

export function cpio(members: readonly CpioMember[]): Buffer {
  let archive = Buffer.alloc(0);
  const add = (bytes: Buffer): void => {
    archive = Buffer.concat([archive, bytes]);
    archive = Buffer.concat([archive, Buffer.alloc((4 - (archive.length % 4)) % 4)]);
  };
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const newc = (name: string, { size = 0, links = 1 } = {}): Buffer => {
    const fields = [1, 0o100755, 0, 0, links, 0, size, 0, 0, 0, 0, name.length + 1, 0];
    return Buffer.from(`070701${fields.map(hex).join('')}${name}\0`);
  };
  for (const { name, content = '', links = 1, index } of members) {
    add(index === undefined ? newc(name, { size: content.length, links }) : Buffer.from(`07070X${hex(index)}`));
    add(Buffer.from(content));
  }
  add(newc('TRAILER!!!'));
  return archive;
}
