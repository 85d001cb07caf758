import type { CallMethod, CallMethods, DiscoverySession } from '@ambient-lab/xds'

export interface AgentAnswers<T> {
  readonly answers: readonly T[]
  /** Nodes that did not answer, sorted. */
  readonly silent: readonly string[]
}

/** Asks every agent that is connected the same, all at once. */
export async function askAgents<M extends CallMethod>(
  sessions: ReadonlyMap<string, DiscoverySession>,
  method: M,
  params: CallMethods[M]['params'],
): Promise<AgentAnswers<CallMethods[M]['result']>> {
  const silent: string[] = []
  const answers = [...sessions].map(async ([node, session]): Promise<CallMethods[M]['result'][]> => {
    try {
      return [await session.call(method, params)]
    } catch {
      silent.push(node)
      return []
    }
  })
  return { answers: (await Promise.all(answers)).flat(), silent: silent.sort() }
}
