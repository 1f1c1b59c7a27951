/**
 * Repository metadata in XML, read as it comes: what stands in the document's own element, one after the other, each as a
 * small tree. Comments, CDATA sections and references are what XML 1.0 says they are; a document type draws nothing in, and
 * an entity that is not XML's own is an error. Pure.
 */
import { SaxesParser } from 'saxes';
import { NodekilnError } from '../../../errors.ts';

/** An element; names without their prefix, those of attributes with it. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  /** Its own text, trimmed. */
  readonly text: string;
}

interface Growing extends Element {
  readonly children: Growing[];
  text: string;
}

/** Characters of one entry. */
const longestEntry = 1024 * 1024;

/** NK_ARTIFACT_UNREADABLE for what is not well-formed, and for an entry larger than a megabyte. */
export async function* entriesOf(document: AsyncIterable<string>, what: string): AsyncGenerator<Element> {
  const reading = new Reading(what);
  for await (const chunk of document) yield* reading.take(chunk);
  yield* reading.end();
}

class Reading {
  readonly #parser = new SaxesParser();
  readonly #what: string;
  /** The elements that are open, the document's own first. */
  readonly #open: Growing[] = [];
  #whole: Element[] = [];
  /** Characters read since the entry before was whole. */
  #length = 0;

  constructor(what: string) {
    this.#what = what;
    this.#parser.on('error', ({ message }) => {
      throw this.#refusal(`is no well-formed XML: ${message}`);
    });
    this.#parser.on('opentag', ({ name, attributes }) => this.#begin(localName(name), attributes));
    this.#parser.on('closetag', () => this.#finish());
    for (const event of ['text', 'cdata'] as const) this.#parser.on(event, (text) => this.#add(text));
  }

  take(chunk: string): Element[] {
    this.#length += chunk.length;
    this.#parser.write(chunk);
    const { length } = this.#whole;
    // What came with the entries that are whole is not the next one's.
    if (length > 0) this.#length = chunk.length;
    if (this.#length > longestEntry + chunk.length) throw this.#refusal('has an entry without end');
    return this.#given();
  }

  end(): Element[] {
    this.#parser.close();
    return this.#given();
  }

  #given(): Element[] {
    const whole = this.#whole;
    this.#whole = [];
    return whole;
  }

  #begin(name: string, attributes: Readonly<Record<string, string>>): void {
    const element: Growing = { name, attributes, children: [], text: '' };
    // An entry is given when it is whole, so the document's own element does not keep it.
    if (this.#open.length > 1) this.#open.at(-1)?.children.push(element);
    this.#open.push(element);
  }

  #add(text: string): void {
    const element = this.#open.at(-1);
    if (element && this.#open.length > 1) element.text += text;
  }

  #finish(): void {
    const element = this.#open.pop();
    if (!element) return;
    element.text = element.text.trim();
    if (this.#open.length === 1) this.#whole.push(element);
  }

  #refusal(why: string): NodekilnError {
    return new NodekilnError('NK_ARTIFACT_UNREADABLE', `${this.#what} ${why}`, { resource: this.#what });
  }
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

/** The first child of the name. */
export function childOf(element: Element | undefined, name: string): Element | undefined {
  return element?.children.find((child) => child.name === name);
}
