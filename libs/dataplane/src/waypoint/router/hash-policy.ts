import type { HashPolicy } from '@ambient-lab/xds'
import type { HttpStream } from '../http-stream.ts'
import { hashText } from '../upstream/hash.ts'
import { queryParameter } from './query.ts'

/** What consistent balancing makes of a request. */
export interface RequestHash {
  readonly hash: number
  /** A cookie that the client is given, so that it comes back to the same host. */
  readonly setCookie?: string
}

/** @returns undefined when the request carries nothing to hash: any host will do */
export function hashRequest(
  policy: HashPolicy | undefined,
  stream: HttpStream,
  newId: () => string,
): RequestHash | undefined {
  if (!policy) return undefined
  const { request, peer } = stream
  switch (policy.kind) {
    case 'header':
      return hashOf(request.headers.getJoined(policy.name))
    case 'source-ip':
      return hashOf(peer.address.address)
    case 'query-parameter': {
      const question = request.path.indexOf('?')
      return question < 0 ? undefined : hashOf(queryParameter(request.path.slice(question + 1), policy.name))
    }
    case 'cookie': {
      const known = cookieOf(request.headers.getAll('cookie'), policy.name)
      if (known !== undefined) return hashOf(known)
      if (policy.ttlSeconds === undefined) return undefined
      const value = newId()
      const age = policy.ttlSeconds > 0 ? `; Max-Age=${policy.ttlSeconds}` : ''
      const path = policy.path === undefined ? '' : `; Path=${policy.path}`
      const attributes = (policy.attributes ?? [])
        .map(({ name, value: text }) => `; ${name}${text && `=${text}`}`)
        .join('')
      return { hash: hashText(value), setCookie: `${policy.name}="${value}"${age}${path}${attributes}; HttpOnly` }
    }
  }
}

function hashOf(text: string | undefined): RequestHash | undefined {
  return text === undefined ? undefined : { hash: hashText(text) }
}

/** @param lines the values of the Cookie fields */
export function cookieOf(lines: readonly string[], name: string): string | undefined {
  for (const line of lines) {
    for (const pair of line.split(';')) {
      const equals = pair.indexOf('=')
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue
      const value = pair.slice(equals + 1).trim()
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
    }
  }
  return undefined
}
