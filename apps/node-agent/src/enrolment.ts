import type { Readable } from 'node:stream'
import { type Clock, type CodedError, errorCode, errorMessage } from '@ambient-lab/std'
import type { Logger } from '@ambient-lab/telemetry'
import type { AgentConfig } from './config.ts'
import { loadCredentials, type NodeCredentials, storeCredentials } from './credentials.ts'
import { readToken } from './token-source.ts'
import { VERSION } from './version.ts'

/**
 * The credentials of an earlier join, or those that a token is exchanged for now.
 * @throws CodedError TOKEN_MISSING, and those of loadCredentials, parseJoinToken and joinLab
 */
export async function obtainCredentials(
  config: Pick<AgentConfig, 'node' | 'stateDir' | 'tokenFile'>,
  components: { readonly clock: Clock; readonly stdin: Readable },
  log: Logger,
): Promise<NodeCredentials> {
  const { node, stateDir, tokenFile } = config
  const known = loadCredentials(stateDir, node)
  if (known) return known
  const text = await readToken(tokenFile, components.stdin)
  const { joinLab, parseJoinToken } = await import('./join.ts') // most starts are of nodes that joined before
  const credentials = await joinLab(parseJoinToken(text), { node, version: VERSION }, components)
  storeCredentials(stateDir, credentials)
  log.info('joined', { api: credentials.api })
  return credentials
}

/** How a TLS client learns that the other side's certificate, or its own, belongs to another life of the lab. */
const TLS_REFUSAL = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALERT/

/** Whether a failed connection means that our credentials are worth nothing any more, and not that nobody was there. */
export function isIdentityRefused({ cause }: CodedError): boolean {
  // ws tells the status of a refused upgrade in its text only.
  return TLS_REFUSAL.test(errorCode(cause) ?? '') || /Unexpected server response: 40[13]/.test(errorMessage(cause))
}
