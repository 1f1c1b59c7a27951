/**
 * The proxy of containerd and kubelet, as environment of their units. Proxy URLs may hold passwords: one that does stands in a
 * file of its own, since systemd tells every user of a machine what `Environment=` says (systemd.exec(5)). Pure.
 */
import type { NodeSpec } from '../config/complete.ts';
import { nothingLeft } from '../config/completion.ts';
import type { FileResource, SensitiveText } from '../model/resources.ts';
import { isSensitive, reveal } from '../model/resources.ts';
import { holdsSecret } from '../model/shown-address.ts';
import { textFile } from './render-items.ts';
import { environmentFile, environmentLine, unitText } from './systemd-text.ts';

const path = '/etc/kubernetes/proxy.env';

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

/** What both units read of it; nothing when no variable holds a secret. */
export function proxyFiles(spec: NodeSpec): FileResource[] {
  const secrets = proxyVariables(spec).filter(hasSecret);
  if (secrets.length === 0) return [];
  const variables = Object.fromEntries(secrets.map(([name, value]) => [name, reveal(value)]));
  return [textFile(path, { sensitive: environmentFile(variables) }, { mode: '0600' })];
}

function hasSecret([, value]: Variable): boolean {
  return holdsSecret(reveal(value));
}

/** A drop-in with these lines and variables in its [Service] section. */
export function serviceDropIn(variables: readonly Variable[], lines: readonly string[] = []): string | SensitiveText {
  const told = variables.filter((variable) => !hasSecret(variable));
  const text = unitText({
    Service: [
      ...lines,
      ...told.map(([name, value]) => environmentLine(name, reveal(value))),
      ...(told.length < variables.length ? [`EnvironmentFile=${path}`] : []),
    ],
  });
  return told.some(([, value]) => isSensitive(value)) ? { sensitive: text } : text;
}
