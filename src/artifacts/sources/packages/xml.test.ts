/** Repository metadata: what a reader of XML sees in it, and what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { childOf, entriesOf, type Element } from './xml.ts';

async function* inChunks(text: string, size: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

async function read(text: string, size = 7): Promise<Element[]> {
  const entries: Element[] = [];
  for await (const entry of entriesOf(inChunks(text, size), 'the index')) entries.push(entry);
  return entries;
}

const names = (entries: readonly Element[]): (string | undefined)[] =>
  entries.map((entry) => childOf(entry, 'name')?.text);

/** Documents, and the names that their entries have. */
const documents: readonly [what: string, text: string, names: readonly (string | undefined)[]][] = [
  ['one package', '<m><package><name>a</name></package></m>', ['a']],
  [
    'a package in a comment',
    '<m><!-- <package><name>a</name></package> --><package><name>b</name></package></m>',
    ['b'],
  ],
  ['a comment in a package', '<m><package><!-- <name>a</name> --><name>b</name></package></m>', ['b']],
  ['a comment in a name', '<m><package><name>a<!-- b -->c</name></package></m>', ['ac']],
  [
    'a package in a CDATA section',
    '<m><package><name><![CDATA[</name></package><b>]]></name></package></m>',
    ['</name></package><b>'],
  ],
  ['a name in an attribute', '<m><package note="&lt;name&gt;a&lt;/name&gt;"><name>b</name></package></m>', ['b']],
  ['a name deeper down', '<m><package><format><name>a</name></format><name>b</name></package></m>', ['b']],
  ['references', '<m><package><name>a&amp;&#98;&#x63;&lt;</name></package></m>', ['a&bc<']],
  ['prefixes', '<r:m xmlns:r="x"><r:package><r:name>a</r:name></r:package></r:m>', ['a']],
  ['an instruction', '<?xml version="1.0"?><m><?x <package> ?><package><name>a</name></package></m>', ['a']],
  ['a document type', '<!DOCTYPE m [<!ELEMENT m ANY>]><m><package><name>a</name></package></m>', ['a']],
  ['space around', '<m>\n <package >\n <name\n>\n a \n</name >\n </package>\n</m>\n', ['a']],
  ['empty entries', '<m><package/><package></package></m>', [undefined, undefined]],
  ['nothing', '<m/>', []],
];

const refused: readonly [what: string, text: string][] = [
  ['an entity of its own', '<!DOCTYPE m [<!ENTITY e "boom">]><m><package><name>&e;</name></package></m>'],
  [
    'an entity that grows',
    '<!DOCTYPE m [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]><m><package><name>&b;</name></package></m>',
  ],
  ['an element without end', '<m><package><name>a</name></package>'],
  ['ends that do not fit', '<m><package><name>a</package></name></m>'],
  ['an attribute twice', '<m><package a="1" a="2"/></m>'],
  ['two documents', '<m/><m/>'],
  ['text alone', 'not found'],
  ['a page of HTML', '<!DOCTYPE html><html><br><p>log in first</html>'],
  ['NUL', '<m><package><name>a\0</name></package></m>'],
];

describe('metadata in XML', () => {
  for (const [what, text, expected] of documents)
    it(`has ${expected.length} entries of ${what}, however it arrives`, async () => {
      for (const size of [1, 7, text.length]) assert.deepEqual(names(await read(text, size)), expected, `by ${size}`);
    });

  for (const [what, text] of refused)
    it(`is refused for ${what}`, async () => {
      await assert.rejects(read(text), { code: 'NK_ARTIFACT_UNREADABLE', message: /no well-formed XML/ });
    });

  it('keeps attributes with their prefixes', async () => {
    const [entry] = await read(`<m><location x='1' xml:base="&lt;2&#62;"/></m>`);
    assert.deepEqual({ ...entry?.attributes }, { x: '1', 'xml:base': '<2>' });
  });

  it('is refused for an entry without end, and not for many entries', async () => {
    const text = 'x'.repeat(300_000);
    const many = `<m>${`<package><name>${text}</name></package>`.repeat(10)}</m>`;
    assert.equal((await read(many, 65_536)).length, 10);
    await assert.rejects(read(`<m><package>${text.repeat(10)}`, 65_536), { message: /has an entry without end/ });
    await assert.rejects(read(`<m>${'<a>'.repeat(1_000_000)}`, 65_536), { message: /has an entry without end/ });
  });
});
