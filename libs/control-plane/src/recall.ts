import type { CallMethod, CallMethods, DiscoverySession } from '@ambient-lab/xds'
import { StatusError } from './api-server/index.ts'
import { askAgents } from './ask-agents.ts'

/**
 * Finds in the agents' memories what somebody names by an id.
 * @param find among the answers of all agents
 * @param missing what to say when nobody knows it; who was not asked is added
 * @throws StatusError 404 when nobody knows it
 */
export async function recall<M extends CallMethod, T>(
  sessions: ReadonlyMap<string, DiscoverySession>,
  [method, params]: readonly [M, CallMethods[M]['params']],
  find: (answers: readonly CallMethods[M]['result'][]) => T | undefined,
  missing: string,
): Promise<T> {
  const { answers, silent } = await askAgents(sessions, method, params)
  const found = find(answers)
  if (found !== undefined) return found
  const away = silent.length > 0 ? `; not asked, since they do not answer: node ${silent.join(', ')}` : ''
  throw new StatusError(404, 'NotFound', `${missing}${away}`)
}
