import { ConnectionFacts } from '@ambient-lab/policy'
import { describe, expect, it } from 'vitest'
import { HeaderMap } from '../http1/index.ts'
import { compileRequestLog } from './request-log.ts'
import { RequestRecord } from './request-record.ts'

type Known = Partial<
  Pick<RequestRecord, 'path' | 'status' | 'details' | 'cluster' | 'routeName' | 'upstreamFailure' | 'requestHeaders'>
>

describe('a line of the log', () => {
  // What neighbours say together is kept for the next line: it must never be of another request.
  const lineOf = compileRequestLog({ enabled: true, encoding: 'TEXT' })!

  it.each<[Known, string]>([
    [
      { path: '/a', status: 200, details: 'via_upstream', cluster: 'one' },
      lineWith('/a', '200 - via_upstream - "-"', '"-" one - 10.96.0.1:80 10.0.0.7:4000 - -'),
    ],
    [
      { path: '/b', status: 200, details: 'via_upstream', cluster: 'one' },
      lineWith('/b', '200 - via_upstream - "-"', '"-" one - 10.96.0.1:80 10.0.0.7:4000 - -'),
    ],
    [
      { path: '/b', status: 503, details: 'via_upstream', cluster: 'one' },
      lineWith('/b', '503 - via_upstream - "-"', '"-" one - 10.96.0.1:80 10.0.0.7:4000 - -'),
    ],
    [
      { path: '/b', status: 503, upstreamFailure: 'refused', cluster: 'two' },
      lineWith('/b', '503 - - - "refused"', '"-" two - 10.96.0.1:80 10.0.0.7:4000 - -'),
    ],
    [
      { path: '/b', status: 404, routeName: 'other' },
      lineWith('/b', '404 - - - "-"', '"-" - - 10.96.0.1:80 10.0.0.7:4000 - other'),
    ],
    [{ path: '/b', status: 404 }, lineWith('/b', '404 - - - "-"', '"-" - - 10.96.0.1:80 10.0.0.7:4000 - -')],
  ])('is of its request, whatever the one before was: %j', (known, line) => {
    expect(lineOf(recordWith(known))).toBe(line)
  })

  it('has a format of steady commands alone, and one of a single command', () => {
    const line = (format: string, known: Known) =>
      compileRequestLog({ enabled: true, encoding: 'TEXT', format })!(recordWith(known))
    expect(line('%RESPONSE_CODE%%ROUTE_NAME%', { status: 200 })).toBe('200-')
    expect(line('%RESPONSE_CODE%', { status: 204 })).toBe('204')
    expect(line('<%ROUTE_NAME%>\n', { routeName: 'r' })).toBe('<r>')
  })
})

function lineWith(path: string, outcome: string, ends: string): string {
  return `[2026-01-02T03:04:05.678Z] "GET ${path} HTTP/1.1" ${outcome} 0 0 0 - "-" "curl" "id" "web" ${ends}`
}

function recordWith(known: Known): RequestRecord {
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
  } as const
  const record = new RequestRecord({ peer, startedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678), startedMs: 0 })
  const requestHeaders = new HeaderMap([['user-agent', 'curl']])
  return Object.assign(record, { method: 'GET', authority: 'web', requestId: 'id', requestHeaders, ...known })
}
