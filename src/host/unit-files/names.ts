/**
 * Unit names as systemd.unit(5) defines them: `prefix.type`, templates `prefix@.type`, instances `prefix@instance.type`.
 */
export interface UnitName {
  readonly prefix: string;
  /** '' for a template, undefined for a plain name. */
  readonly instance: string | undefined;
  /** `service` */
  readonly type: string;
}

const types =
  /^(?<stem>[A-Za-z0-9:_.\\@-]+)\.(?<type>service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

export function parseUnitName(name: string): UnitName | undefined {
  const { stem, type } = types.exec(name)?.groups ?? {};
  if (stem === undefined || type === undefined || name.length > 255) return undefined;
  const at = stem.indexOf('@');
  if (at === 0) return undefined;
  if (at < 0) return { prefix: stem, instance: undefined, type };
  return { prefix: stem.slice(0, at), instance: stem.slice(at + 1), type };
}

export function isTemplate(name: string): boolean {
  return parseUnitName(name)?.instance === '';
}

/** `getty@.service` for `getty@tty1.service`; undefined for names that are no instance. */
export function templateOf(name: string): string | undefined {
  const parsed = parseUnitName(name);
  return parsed?.instance ? `${parsed.prefix}@.${parsed.type}` : undefined;
}

export function withInstance(template: string, instance: string): string {
  const parsed = parseUnitName(template);
  return parsed ? `${parsed.prefix}@${instance}.${parsed.type}` : template;
}

/** The specifiers that make sense in `[Install]`: %n %N %p %i %j %%. Others stay as they are. */
export function expandSpecifiers(text: string, name: string): string {
  const parsed = parseUnitName(name);
  if (!parsed) return text;
  const replacements: Readonly<Record<string, string>> = {
    n: name,
    N: name.slice(0, -parsed.type.length - 1),
    p: parsed.prefix,
    i: parsed.instance ?? '',
    j: parsed.prefix.slice(parsed.prefix.lastIndexOf('-') + 1),
    '%': '%',
  };
  return text.replace(/%(.)/g, (whole, letter: string) => replacements[letter] ?? whole);
}
