import { expect, test } from 'vitest'
import { type EdgeEnds, EdgeTable, joinTraffic } from './edge-table.ts'
import { serviceOf, workloadOf } from './two-nodes.conformance.ts'

const service = serviceOf('shop', '10.96.0.30')
const ENDS: EdgeEnds = {
  direction: 'outbound',
  protocol: 'TCP',
  source: workloadOf('curl', 'a', '10.244.1.4'),
  sourceIdentity: undefined,
  destination: workloadOf('shop', 'b', '10.244.2.20'),
  destinationIdentity: undefined,
  service,
}

test('edges that several counted are added up, others stay apart', () => {
  const [first, second] = [new EdgeTable('a'), new EdgeTable('a')]
  first.of(ENDS).opened += 1
  first.of(ENDS).bytesSent += 10
  second.of(ENDS).opened += 2
  second.of({ ...ENDS, protocol: 'HBONE' }).opened += 4
  second.of({ ...ENDS, direction: 'inbound' }).denied += 1
  const traffic = { atMs: 1, connections: [], lost: 2, edges: first.edges() }
  const { edges: joined, ...others } = joinTraffic(traffic, [second.edges()])
  expect(others).toEqual({ atMs: 1, connections: [], lost: 2 })
  expect(
    joined.map(({ reporter, connectionSecurityPolicy, opened }) => [reporter, connectionSecurityPolicy, opened]),
  ).toEqual([
    ['source', 'unknown', 3],
    ['source', 'mutual_tls', 4],
    ['destination', 'unknown', 0],
  ])
  expect(joined[0]).toMatchObject({ bytesSent: 10, destinationService: service.hostname })
  expect(first.of(ENDS).opened).toBe(1)
})
