/**
 * Certificates of authorities that the whole machine trusts: each a file where the distribution looks for the
 * administrator's own, then the distribution's program that makes its bundles of them. On systems whose /usr cannot be
 * written, Debian's folder for them is reached through the writable /usr/local. Pure.
 */
import type { NodeSpec } from '../config/complete.ts';
import { nothingLeft } from '../config/completion.ts';
import { sha256 } from '../host/digest.ts';
import type { Facts } from '../model/facts.ts';
import { base, textFile } from './render-items.ts';
import type { ActionResource, FileResource, ResourceId, UnitResource } from '../model/resources.ts';
import { usrLocalFolder, usrLocalName } from './usr-local.ts';

const timeoutMs = 60_000;
const rpmSystems = ['fedora', 'rhel', 'centos', 'rocky', 'almalinux', 'azurelinux', 'mariner', 'amzn', 'ol'];

export function trustResources(spec: NodeSpec, facts: Facts): (FileResource | ActionResource)[] {
  const { anchors, ...otherTrust } = spec.trust;
  nothingLeft(otherTrust);
  if (anchors.length === 0) return [];
  const rpm = rpmSystems.includes(facts.os.id);
  const ownFolder = spec.usrLocal === 'writable' ? usrLocalFolder : '/usr/local';
  const files = anchors.map(({ name, certificates, ...rest }) => {
    nothingLeft(rest);
    const path = rpm
      ? `/etc/pki/ca-trust/source/anchors/${name}.pem`
      : // The program keeps links by name: another content has another one, so that a change is noticed.
        `${ownFolder}/share/ca-certificates/${linkName(name, certificates)}.crt`;
    return textFile(path, certificates, { scope: 'shared' });
  });
  const needs: ResourceId[] = files.map(({ id }) => id);
  if (!rpm && spec.usrLocal === 'writable') needs.push(`extension:${usrLocalName}`);
  const names = anchors.map(({ name, certificates }) => `/etc/ssl/certs/${linkName(name, certificates)}.pem`);
  return [
    ...files,
    {
      kind: 'action',
      id: 'action:trust-anchors',
      ...base({ scope: 'shared', needs }),
      argv: rpm ? ['update-ca-trust', 'extract'] : ['update-ca-certificates'],
      guard: rpm
        ? {
            type: 'command',
            argv: ['sh', '-c', everyLine, 'sh', ...anchors.flatMap(({ certificates }) => middleLines(certificates))],
          }
        : {
            type: 'command',
            argv: ['test', ...names.flatMap((path, index) => [...(index > 0 ? ['-a'] : []), '-e', path])],
          },
      timeoutMs,
    },
  ];
}

const rpmBundle = '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem';
/** Lines are arguments, never part of the text. */
const everyLine = `for line in "$@"; do grep -qF -- "$line" ${rpmBundle} || exit 1; done`;

/** What reads the bundles when it starts, and must start after them and again when they change. */
export function afterTrust(unit: UnitResource, trust: readonly (FileResource | ActionResource)[]): UnitResource {
  const files = trust.flatMap(({ kind, id }) => (kind === 'file' ? [id] : []));
  const actions = trust.flatMap(({ kind, id }) => (kind === 'action' ? [id] : []));
  return { ...unit, inputs: [...unit.inputs, ...files], needs: [...unit.needs, ...actions] };
}

function linkName(name: string, certificates: string): string {
  return `${name}-${sha256(certificates).slice('sha256:'.length, 'sha256:'.length + 8)}`;
}

/** Of each certificate a line that no other has, as the bundle has it: 64 letters long, whatever the lines were before. */
function middleLines(certificates: string): string[] {
  const blocks = [...certificates.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)];
  if (blocks.length === 0) return [certificates.trim()];
  return blocks.map(([, base64 = '']) => {
    const lines = base64.replaceAll(/\s/g, '').match(/.{1,64}/g) ?? [''];
    return lines[Math.floor(lines.length / 2)] ?? '';
  });
}
