/** Where the original of a foreign file is kept that was replaced: its content, and what is known about it. */
import { originalsFolder } from '../model/state-paths.ts';
import { createDigest } from './digest.ts';

export function originalPaths(path: string): { content: string; about: string } {
  const name = createDigest().update(path).hex().slice(0, 32);
  return { content: `${originalsFolder}/${name}`, about: `${originalsFolder}/${name}.json` };
}
