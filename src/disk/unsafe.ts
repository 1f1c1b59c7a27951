/** What is said of a link that is not followed. */
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
