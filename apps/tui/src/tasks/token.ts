import type { Pod } from '@ambient-lab/api'
import { CodedError, errorMessage } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import { readyPodOf } from './pods.ts'

const PROVIDER_DEFAULT = 'deploy/oidc'
/** The provider's grant that asks for no password. */
const TEST_TOKEN_GRANT = 'urn:ambient-lab:params:oauth:grant-type:test-token'

/** Asks the identity provider of the lab, where it really listens. @throws CodedError NOT_FOUND, UNAVAILABLE */
export async function requestToken(context: CommandContext): Promise<string> {
  const { args, flags, signal } = context
  const pod = await readyPodOf(await context.api(), flags.word('namespace'), args[0] ?? PROVIDER_DEFAULT, signal)
  const audience = flags.text('audience')
  const parameters = new URLSearchParams({
    grant_type: TEST_TOKEN_GRANT,
    subject: flags.word('subject'),
    scope: flags.word('scope'),
    claims: JSON.stringify(parseClaims(flags.list('claim'))),
    ...(audience !== undefined && { audience }),
  })
  const answer = await post(`${endpointOf(pod)}/token`, parameters, signal)
  if (typeof answer.access_token !== 'string') {
    throw new CodedError('UNAVAILABLE', `${pod.metadata.name} gave no token: ${JSON.stringify(answer)}`, {
      next: `ambient logs pod/${pod.metadata.name}`,
    })
  }
  return answer.access_token
}

/** `groups=["a"]`, `team=a`, `level=3`: JSON where it is JSON, else text. @throws CodedError USAGE */
export function parseClaims(texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=')
      if (equals < 1) throw usageError(`"${text}" is no claim`, '--claim NAME=VALUE')
      return [text.slice(0, equals), parseValue(text.slice(equals + 1))]
    }),
  )
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function endpointOf(pod: Pod): string {
  const [address] = Object.values(pod.status?.ambientLab?.ports ?? {})
  if (address) return `http://${address.host}:${address.port}`
  throw new CodedError('WORKLOAD_NOT_RUNNING', `${pod.metadata.name} listens nowhere yet`, {
    next: `ambient describe pod/${pod.metadata.name}`,
  })
}

async function post(url: string, body: URLSearchParams, signal: AbortSignal): Promise<Record<string, unknown>> {
  try {
    const headers = { authorization: `Basic ${btoa('lab:lab')}` }
    const response = await fetch(url, { method: 'POST', headers, body, signal })
    return (await response.json()) as Record<string, unknown>
  } catch (error) {
    signal.throwIfAborted()
    throw new CodedError('UNAVAILABLE', `the identity provider does not answer: ${errorMessage(error)}`, {
      cause: error,
      next: 'ambient get pods',
    })
  }
}
