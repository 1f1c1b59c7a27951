/**
 * One file out of the parts that esbuild splits a program into. V8 reads every function of a file once before anything
 * runs, a third of a start where most of it belongs to other verbs: parts that are not needed at once lie in a comment,
 * which is passed over at the speed of a memory copy, and become functions when they are asked for. They come out of the
 * program's own source, which V8 keeps: the file itself may be another version's by then.
 */
import type { BuildResult } from 'esbuild';
import { basename } from 'node:path';

interface Part {
  readonly name: string;
  readonly code: string;
  readonly atOnce: boolean;
}

/** The text of a CommonJS program; `atOnce` are the modules, by their inputs' names, whose parts are code from the start. */
export async function packParts(
  { outputFiles, metafile }: BuildResult<{ write: false; metafile: true }>,
  { entry, atOnce }: { readonly entry: string; readonly atOnce: readonly string[] },
): Promise<string> {
  const files = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const partOf = (input: string): string => {
    const found = [...outputs].find(([, { entryPoint }]) => entryPoint === input);
    if (!found) throw new Error(`${input} is no part of its own: nothing imports it when it is needed`);
    return found[0];
  };
  const needed = new Set<string>();
  const queue = [entry, ...atOnce].map(partOf);
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    for (const { kind, path, external } of outputs.get(name)?.imports ?? [])
      if (kind === 'import-statement' && external !== true) queue.push(basename(path));
  }
  const parts = await Promise.all(
    [...files].map(async ([name, text]): Promise<Part> => {
      const { entryPoint = '' } = outputs.get(name) ?? {};
      const isCommonJs = metafile.inputs[entryPoint]?.format === 'cjs';
      const code = await asFunctionBody(isCommonJs ? `${text}\n${withNames}` : text);
      return { name, code, atOnce: needed.has(name) };
    }),
  );
  return program(parts, partOf(entry));
}

/** What Node gives who imports CommonJS: its names beside the whole, which alone esbuild exports of such a part. */
const withNames = `{
  const whole = module.exports.default;
  module.exports = Object.create(whole, { default: { value: whole }, __esModule: { value: true } });
}`;

/** esbuild's helpers copy what a module exports, once more for who imports it: getters that call getters, at every use. */
const plainer: ReadonlyMap<string, string> = new Map([
  [
    '__toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);',
    '__toCommonJS = (mod) => __defProp(mod, "__esModule", { value: true });',
  ],
  ['__toESM = (mod, isNodeMode, target) => (', '__toESM = (mod, isNodeMode, target) => mod?.__esModule ? mod : ('],
]);

async function asFunctionBody(text: string): Promise<string> {
  const { transform } = await import('esbuild');
  const common = { format: 'cjs', platform: 'node', target: 'node24', legalComments: 'none' } as const;
  let { code } = await transform(text, { ...common, supported: { 'dynamic-import': false } });
  for (const [helper, instead] of plainer) {
    const name = helper.slice(0, helper.indexOf(' '));
    if (code.includes(`var ${name} =`) && !code.includes(helper))
      throw new Error(`esbuild's ${name} is another one now`);
    code = code.replace(helper, () => instead);
  }
  ({ code } = await transform(code, { ...common, minify: true }));
  // A source of ASCII alone takes half the memory. What esbuild leaves are regular expressions.
  return code.trim().replaceAll(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Stands for the end of a comment in one. */
const end = '*@/';
const signature = 'exports,require,module';

function program(parts: readonly Part[], entry: string): string {
  const opening = 'function(){/*';
  let text = opening;
  const places: Record<string, readonly [number, number]> = {};
  for (const { name, code } of parts.filter(({ atOnce }) => !atOnce)) {
    if (code.includes(end)) throw new Error(`a part holds ${end} itself`);
    const begin = text.length;
    text += code.replaceAll('*/', end);
    places[name] = [begin, text.length];
  }
  const functions = parts
    .filter(({ atOnce }) => atOnce)
    // In parentheses V8 compiles them with the file, not once more when they are called.
    .map(({ name, code }) => `${JSON.stringify(name)}:(function(${signature}){${code}\n})`);
  return `"use strict";
const functions={${functions.join(',\n')}};
const places=${JSON.stringify(places)};
const later=${text}*/};
const loaded=new Map();
function compiled(name){
const [begin,end]=places[name];
const code=later.toString().slice(begin,end).replaceAll(${JSON.stringify(end)},"*/");
return require("node:vm").compileFunction(code,${JSON.stringify(signature.split(','))},{filename:__filename+"/"+name});
}
function load(path){
const name=path.startsWith("./")?path.slice(2):"";
if(!(name in functions||name in places))return require(path);
const known=loaded.get(name);
if(known)return known.exports;
const module={exports:{}};
loaded.set(name,module);
(functions[name]??compiled(name))(module.exports,load,module);
return module.exports;
}
load(${JSON.stringify(`./${entry}`)});
`;
}
