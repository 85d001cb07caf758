import { describe, expect, it } from 'vitest'
import { compileRequestLog } from './request-log.ts'
import { type Known, recordWith } from './request-record.conformance.ts'

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

  it.each<[filter: string, known: Known, isLogged: boolean]>([
    ['response.code >= 400', { status: 503 }, true],
    ['response.code >= 400', { status: 200 }, false],
    ["request.url_path.startsWith('/healthz') == false", { path: '/healthz?a' }, false],
    ["request.url_path.startsWith('/healthz') == false", { path: '/' }, true],
    // No answer was sent, and a connection has none: an error is not true.
    ['response.code >= 400', { status: 0 }, false],
    ['response.code >= 400', { protocol: '-', status: 503 }, true],
    ['request.method == "GET"', { protocol: '-' }, false],
    ["'true'", {}, false],
    ['response.code >=', { status: 503 }, false],
  ])('is there where the filter is true: %s, %j', (filter, known, isLogged) => {
    const filtered = compileRequestLog({ enabled: true, encoding: 'TEXT', format: 'x', filter })!
    expect(filtered(recordWith(known))).toBe(isLogged ? 'x' : undefined)
  })
})

function lineWith(path: string, outcome: string, ends: string): string {
  return `[2026-01-02T03:04:05.678Z] "GET ${path} HTTP/1.1" ${outcome} 0 0 0 - "-" "curl" "id" "web" ${ends}`
}
