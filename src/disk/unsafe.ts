/** What is said of a link that is not followed, and of a folder that did not stay. */
import { NodekilnError } from '../errors.ts';
import { dirname } from '../model/path.ts';

/** NK_PATH_UNSAFE; the path as the host sees it. */
export function unsafe(link: string, uid: number): NodekilnError {
  return new NodekilnError(
    'NK_PATH_UNSAFE',
    `${link} is a link that others than root may have put there (its owner is ${uid}): it is not followed`,
    {
      hint: `Name the path that is meant without the link, or let only root write to ${dirname(link)} (\`chown root\`, \`chmod go-w\`).`,
      place: { file: link },
    },
  );
}

/** NK_PATH_UNSAFE of a folder that was there, as the host sees it. */
export function exchanged(folder: string, cause?: unknown): NodekilnError {
  return new NodekilnError(
    'NK_PATH_UNSAFE',
    `${folder} was removed or exchanged while it was written to: others than root may do so`,
    {
      hint: `Let only root write to ${dirname(folder)} (\`chown root\`, \`chmod go-w\`), or try again when nobody else does.`,
      place: { file: folder },
      cause,
    },
  );
}
