import { MetricsRegistry } from '@ambient-lab/telemetry'
import { expect, test } from 'vitest'
import { recordWith } from './request-record.conformance.ts'
import { TagRewriting } from './tag-rewriting.ts'
import { TcpSeries } from './tcp-series.ts'

test('a connection has the labels that it had when it was opened, to its end', () => {
  const metrics = new MetricsRegistry()
  const tag = { sent: 'string(response.size)', source_port: 'string(source.port)' }
  const tags = TagRewriting.compile({ TCP_OPENED_CONNECTIONS: tag, TCP_SENT_BYTES: tag })
  const series = new TcpSeries({ metrics, reporter: () => 'waypoint', tags: () => tags })
  const connection = recordWith({ protocol: '-' })
  series.opened(connection)
  connection.bytesSent = 12
  series.closed(connection)
  const text = metrics.expose()
  expect(text).toMatch(/^istio_tcp_connections_opened_total\{.*,sent="0",source_port="4000"\} 1$/m)
  expect(text).toMatch(/^istio_tcp_sent_bytes_total\{.*,sent="0",source_port="4000"\} 12$/m)
  expect(text).toMatch(/^istio_tcp_connections_closed_total\{.*connection_security_policy="unknown"\} 1$/m)
})
