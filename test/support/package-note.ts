/** The section `.note.package` of a program: what systemd calls package metadata for ELF files. */

export function packageNote(about: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(`${JSON.stringify(about)}\0`);
  const note = Buffer.alloc(16 + Math.ceil(body.length / 4) * 4);
  note.writeUInt32LE(4, 0);
  note.writeUInt32LE(body.length, 4);
  note.writeUInt32LE(0xcafe1a7e, 8);
  note.write('FDO\0', 12);
  body.copy(note, 16);
  return note;
}
