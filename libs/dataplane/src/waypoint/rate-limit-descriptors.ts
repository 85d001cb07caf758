import type { DescriptorEntry, RateLimitAction } from '@ambient-lab/xds'
import type { HttpStream } from './http-stream.ts'
import { type CompilePattern, compileHeaderMatchers } from './router/matchers.ts'

/** One entry of a descriptor as a request fills it. */
export interface FilledEntry {
  readonly key: string
  readonly value: string
}

/** Undefined: the action yields nothing, and its descriptor is left out. `skip`: the descriptor goes without it. */
type Fill = (stream: HttpStream) => FilledEntry | 'skip' | undefined

/** Makes the descriptor of a request; undefined when one of its actions yields nothing. */
export type DescriptorOf = (stream: HttpStream) => readonly FilledEntry[] | undefined

/** @throws CodedError as CompilePattern */
export function compileDescriptor(actions: readonly RateLimitAction[], compilePattern: CompilePattern): DescriptorOf {
  const fills = actions.map((action) => compileAction(action, compilePattern))
  return (stream) => {
    const entries: FilledEntry[] = []
    for (const fill of fills) {
      const entry = fill(stream)
      if (entry === undefined) return undefined
      if (entry !== 'skip') entries.push(entry)
    }
    return entries
  }
}

/** @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-ratelimit-action */
function compileAction(action: RateLimitAction, compilePattern: CompilePattern): Fill {
  switch (action.kind) {
    case 'request-headers': {
      const { headerName, descriptorKey: key, skipIfAbsent } = action
      return (stream) => {
        const value = headerOf(stream, headerName.toLowerCase())
        if (value === undefined) return skipIfAbsent ? 'skip' : undefined
        return { key, value }
      }
    }
    case 'remote-address':
      return ({ peer }) => ({ key: 'remote_address', value: peer.address.address })
    case 'generic-key': {
      const entry = { key: action.descriptorKey, value: action.descriptorValue }
      return () => entry
    }
    case 'header-value-match': {
      const matches = compileHeaderMatchers(action.headers, compilePattern)
      const entry = { key: action.descriptorKey, value: action.descriptorValue }
      return (stream) => {
        const headers = { getJoined: (name: string) => headerOf(stream, name) }
        return matches(headers) === action.expectMatch ? entry : undefined
      }
    }
    case 'destination-cluster':
      return ({ route }) => {
        const cluster = route?.backends[0]?.cluster
        return cluster === undefined ? undefined : { key: 'destination_cluster', value: cluster }
      }
    case 'source-cluster':
      return ({ runtime }) => ({ key: 'source_cluster', value: runtime.proxy.name })
  }
}

/** Pseudo headers too, as Envoy's users write them: `:path`. */
function headerOf({ request }: HttpStream, name: string): string | undefined {
  switch (name) {
    case ':path':
      return request.path
    case ':method':
      return request.method
    case ':authority':
    case 'host':
      return request.authority
    case ':scheme':
      return request.scheme
    default:
      return request.headers.getJoined(name)
  }
}

/** Whether a configured descriptor is the one of a request: same keys in the same order, and values where given. */
export function matchesDescriptor(configured: readonly DescriptorEntry[], filled: readonly FilledEntry[]): boolean {
  return (
    configured.length === filled.length &&
    configured.every(({ key, value }, index) => {
      const entry = filled[index]!
      return entry.key === key && (value === undefined || entry.value === value)
    })
  )
}
