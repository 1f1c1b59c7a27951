/**
 * Templates in image manifests: paths and URLs with named placeholders in braces. Anything else in braces is an
 * error where it stands, so that a typo never becomes part of a URL. Pure.
 */

/** Named values of a template. `version` is the text as written, `upstream` the version without packaging. */
export interface TemplateValues {
  /** The program's or component's name. */
  readonly tool: string;
  readonly version: string;
  readonly upstream: string;
  /** The version as registries tag it, `v1.34.3`. */
  readonly tag: string;
  readonly arch: string;
  readonly debArch: string;
  readonly rpmArch: string;
  readonly systemdArch: string;
}

export const placeholders = [
  'tool',
  'version',
  'upstream',
  'tag',
  'arch',
  'debArch',
  'rpmArch',
  'systemdArch',
] as const satisfies readonly (keyof TemplateValues)[];

/** The first thing in braces that is not a placeholder, `{ver}`, or a lone brace. */
export function badPlaceholder(template: string): string | undefined {
  const known = new Set<string>(placeholders.map((name) => `{${name}}`));
  return template.match(/\{[^{}]*\}|[{}]/g)?.find((part) => !known.has(part));
}

/** The template with its placeholders replaced. The template has no bad placeholders (the schema saw to that). */
export function expandTemplate(template: string, values: TemplateValues): string {
  let text = template;
  for (const name of placeholders) text = text.replaceAll(`{${name}}`, () => values[name]);
  return text;
}
