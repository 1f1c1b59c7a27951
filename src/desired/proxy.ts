/**
 * The proxy of containerd and kubelet, as environment of their units. Proxy URLs may hold passwords, so text with one
 * is sensitive. Pure.
 */
import type { NodeSpec } from '../config/complete.ts';
import { nothingLeft } from '../config/completion.ts';
import type { SensitiveText } from '../model/resources.ts';
import { isSensitive, reveal } from '../model/resources.ts';
import { environmentLine, unitText } from './systemd-text.ts';

export type Variable = readonly [name: string, value: string | SensitiveText];

export function proxyVariables(spec: NodeSpec): Variable[] {
  const { proxy } = spec.network;
  if (!proxy) return [];
  const { http, https, noProxy, ...rest } = proxy;
  nothingLeft(rest);
  const variables: Variable[] = [];
  if (http) variables.push(['HTTP_PROXY', http]);
  if (https) variables.push(['HTTPS_PROXY', https]);
  const excepted = noProxy.flatMap(entriesOf);
  if (excepted.length > 0) variables.push(['NO_PROXY', excepted.join(',')]);
  return variables;
}

/** As Go reads them, which takes blanks for a part of a name, and brackets for an address only before a port. */
function entriesOf(text: string): string[] {
  const entries = text.split(/[,\s]+/).filter((entry) => entry !== '');
  return entries.map((entry) => entry.replace(/^\[([^\]]*)\]$/, '$1'));
}

/** A drop-in with these lines and variables in its [Service] section. */
export function serviceDropIn(variables: readonly Variable[], lines: readonly string[] = []): string | SensitiveText {
  const text = unitText({
    Service: [...lines, ...variables.map(([name, value]) => environmentLine(name, reveal(value)))],
  });
  return variables.some(([, value]) => isSensitive(value)) ? { sensitive: text } : text;
}
