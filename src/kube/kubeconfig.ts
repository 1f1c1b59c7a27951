/**
 * The part of a kubeconfig that says how to ask the API server: server, CA, and a client certificate, a token or a
 * credential program of one context. Files it names are relative to its folder.
 *
 * Errors: NK_DOCUMENT_MISSING, NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID; the last also for what would run programs where
 * the caller runs none (`exec`; `auth-provider` everywhere), go through a proxy of a kind that is not spoken, or talk to a server
 * that is not verified.
 * Secrets are never in messages.
 */
import { NodekilnError, whyRefused } from '../errors.ts';
import type { Files } from '../host/port.ts';
import { parseAs } from '../config/parse-as.ts';
import { dirname, isAbsolute, join } from '../model/path.ts';
import { proxyAddress } from '../model/proxy-address.ts';
import { bytesOf, fromBase64, textOf, toBase64 } from '../model/bytes.ts';
import { execPluginOf, type ExecPlugin } from './exec-credential.ts';
import { kubeconfig, type Kubeconfig, type KubeconfigCluster, type KubeconfigUser } from './schema.ts';

/** Where an API server is, whom to trust, and who we are to it. */
export interface ApiServer {
  /** `https://host:6443` */
  readonly server: string;
  /** PEM. Absent: the certificates Node trusts. */
  readonly ca?: string;
  readonly serverName?: string;
  /** The HTTP proxy that leads there, whatever the environment says. */
  readonly proxy?: string;
  /** PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  readonly token?: string;
}

/** An API server whose credentials a program gives: none is in it yet. */
export interface ApiServerWithPlugin extends ApiServer {
  readonly exec?: ExecPlugin;
}

export interface KubeconfigOptions {
  /** The context to take instead of the current one. */
  readonly context?: string;
}

/** For callers that run no programs. `file`: absolute. */
export async function readKubeconfig(
  files: Pick<Files, 'read'>,
  file: string,
  options: KubeconfigOptions = {},
): Promise<ApiServer> {
  const { exec, ...api } = await readKubeconfigWithPlugin(files, file, options);
  if (exec)
    throw new NodekilnError(
      'NK_DOCUMENT_INVALID',
      `the kubeconfig ${file} gets its credentials with exec, and no programs are run here`,
      { place: { file, path: 'users.user.exec' }, hint: 'Use a kubeconfig with a token or a client certificate.' },
    );
  return api;
}

/** The same, with the program that gives the credentials where there is one; it is not run here. */
export async function readKubeconfigWithPlugin(
  files: Pick<Files, 'read'>,
  file: string,
  options: KubeconfigOptions = {},
): Promise<ApiServerWithPlugin> {
  const text = await readText(files, file);
  if (text === undefined)
    throw new NodekilnError('NK_DOCUMENT_MISSING', `the kubeconfig ${file} does not exist`, { place: { file } });
  const document = await parseAs({ file, text }, kubeconfig, 'kubeconfig');
  const invalid: Invalid = (message, path, hint = 'Correct the kubeconfig.') =>
    new NodekilnError('NK_DOCUMENT_INVALID', `the kubeconfig ${file} ${message}`, { place: { file, path }, hint });

  const { target, who } = chosenBy(document, options, invalid);
  requireTaken(target, who, invalid);
  const server = target.server ?? '';
  const proxy = target['proxy-url'] || undefined;

  const material = async (
    data: string | null | undefined,
    path: string | null | undefined,
    key: string,
  ): Promise<string | undefined> => {
    if (data) return textOf(fromBase64(data));
    if (!path) return undefined;
    const at = isAbsolute(path) ? path : join(dirname(file), path);
    const content = await readText(files, at);
    if (content === undefined) throw invalid(`names ${at}, which does not exist`, key);
    return content;
  };
  const [ca, cert, key, tokenFromFile] = await Promise.all([
    material(
      target['certificate-authority-data'],
      target['certificate-authority'],
      'clusters.cluster.certificate-authority',
    ),
    material(who['client-certificate-data'], who['client-certificate'], 'users.user.client-certificate'),
    material(who['client-key-data'], who['client-key'], 'users.user.client-key'),
    material(undefined, who.tokenFile, 'users.user.tokenFile'),
  ]);
  if ((cert === undefined) !== (key === undefined))
    throw invalid('has a client certificate without its key, or a key without its certificate', 'users.user');
  // As client-go: the file wins, since it is the one that is renewed.
  const token = (tokenFromFile ?? who.token ?? '').trim();
  if (/[^\x21-\x7e]/.test(token)) throw invalid('has a token with blanks or control characters', 'users.user.token');
  let exec: ExecPlugin | undefined;
  // As client-go: what stands in the kubeconfig itself wins.
  if (who.exec !== undefined && who.exec !== null && cert === undefined && token === '') {
    const plugin = execPluginOf(who.exec, {
      folder: dirname(file),
      cluster: {
        server,
        ...(target['tls-server-name'] && { 'tls-server-name': target['tls-server-name'] }),
        ...(ca !== undefined && { 'certificate-authority-data': toBase64(bytesOf(ca)) }),
        ...(proxy !== undefined && { 'proxy-url': proxy }),
      },
    });
    if (typeof plugin === 'string') throw invalid(plugin, 'users.user.exec');
    exec = plugin;
  }
  return {
    server,
    ...(exec && { exec }),
    ...(ca !== undefined && { ca }),
    ...(target['tls-server-name'] && { serverName: target['tls-server-name'] }),
    ...(proxy !== undefined && { proxy }),
    ...(cert !== undefined && key !== undefined && { clientCertificate: { cert, key } }),
    ...(token !== '' && { token }),
  };
}

type Invalid = (message: string, path: string, hint?: string) => NodekilnError;

interface Chosen {
  readonly target: KubeconfigCluster;
  readonly who: KubeconfigUser;
}

/** What the context names. */
function chosenBy(document: Kubeconfig, options: KubeconfigOptions, invalid: Invalid): Chosen {
  const current = options.context ?? document['current-context'];
  if (!current) throw invalid('has no current context', 'current-context');
  const chosen = document.contexts?.find(({ name }) => name === current)?.context;
  if (!chosen)
    throw options.context === undefined
      ? invalid('does not have the context it names as the current one', 'contexts')
      : invalid(
          `does not have the context ${JSON.stringify(current)}`,
          'contexts',
          `It has ${(document.contexts ?? []).map(({ name }) => JSON.stringify(name)).join(', ') || 'none'}.`,
        );
  const target = document.clusters?.find(({ name }) => name === chosen.cluster)?.cluster;
  if (!target) throw invalid('does not have the cluster of its current context', 'clusters');
  const who: KubeconfigUser = document.users?.find(({ name }) => name === chosen.user)?.user ?? {};
  if (chosen.user && !document.users?.some(({ name }) => name === chosen.user))
    throw invalid('does not have the user of its current context', 'users');
  return { target, who };
}

/** What is known not to work, or not to be safe, is refused before anything is read. */
function requireTaken(target: KubeconfigCluster, who: KubeconfigUser, invalid: Invalid): void {
  const server = target.server ?? '';
  if (!URL.canParse(server) || new URL(server).protocol !== 'https:')
    throw invalid('has a server that is no https address', 'clusters.cluster.server');
  if (target['insecure-skip-tls-verify'] === true)
    throw invalid(
      'asks to trust any server, which is refused: credentials would go to it',
      'clusters.cluster.insecure-skip-tls-verify',
      'Give certificate-authority-data instead.',
    );
  if (target['proxy-url'] && !isProxy(target['proxy-url']))
    throw invalid('has a proxy-url that is no http or https address', 'clusters.cluster.proxy-url', proxyHint);
  if (who['auth-provider'] !== undefined && who['auth-provider'] !== null)
    throw invalid(
      'gets its credentials with auth-provider, which Kubernetes no longer has',
      'users.user.auth-provider',
      'Use a kubeconfig with a token, a client certificate or exec.',
    );
  if (who.username)
    throw invalid('has a user name and password, which Kubernetes no longer accepts', 'users.user.username');
}

const proxyHint = 'Write it like http://proxy.example.org:3128; other kinds, as socks5, are not spoken.';

/** With its scheme, as client-go wants it. */
function isProxy(address: string): boolean {
  return /^https?:/i.test(address) && proxyAddress(address) === address;
}

async function readText(files: Pick<Files, 'read'>, file: string): Promise<string | undefined> {
  try {
    return textOf(await files.read(file));
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${file} cannot be read: ${whyRefused(cause)}`, {
      cause,
      place: { file },
    });
  }
}
