import { ConnectionFacts } from '@ambient-lab/policy'
import { HeaderMap } from '../http1/index.ts'
import { type DownstreamPeer, RequestRecord } from './request-record.ts'

/** What is known of a request, or a connection, but for methods. */
export type Known = Partial<
  Pick<
    RequestRecord,
    | (
        | 'authority'
        | 'bytesReceived'
        | 'bytesSent'
        | 'cluster'
        | 'details'
        | 'durationMs'
        | 'isGrpc'
        | 'method'
        | 'path'
      )
    | ('protocol' | 'requestHeaders' | 'responseHeaders' | 'responseTrailers' | 'routeName' | 'status')
    | ('terminationDetails' | 'tries' | 'upstreamFailure' | 'upstreamHost' | 'upstreamServiceMs')
  >
>

/** A GET of curl's at 2026-01-02T03:04:05.678Z, from 10.0.0.7:4000 to 10.96.0.1:80. */
export function recordWith(known: Known = {}, peerKnown: Partial<DownstreamPeer> = {}): RequestRecord {
  const facts = new ConnectionFacts({
    sourceIp: '10.0.0.7',
    destinationIp: '10.96.0.1',
    destinationPort: 80,
    identity: undefined,
  })
  const peer = {
    identity: undefined,
    workload: undefined,
    address: { address: '10.0.0.7', port: 4000 },
    local: { address: '10.96.0.1', port: 80 },
    service: undefined,
    facts,
    scheme: 'http',
    ...peerKnown,
  } as const
  const record = new RequestRecord({ peer, startedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678), startedMs: 0 })
  const requestHeaders = new HeaderMap([['user-agent', 'curl']])
  return Object.assign(record, { method: 'GET', authority: 'web', requestId: 'id', requestHeaders, ...known })
}
