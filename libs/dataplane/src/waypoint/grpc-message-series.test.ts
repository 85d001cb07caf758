import { VirtualClock } from '@ambient-lab/std'
import { MetricsRegistry } from '@ambient-lab/telemetry'
import { expect, test } from 'vitest'
import { GrpcMessageCounter } from './grpc/message-counter.ts'
import { GrpcMessageSeries } from './grpc-message-series.ts'
import { type DownstreamPeer, RequestRecord } from './request-record.ts'
import { TagRewriting } from './tag-rewriting.ts'
import type { UpstreamHost } from './upstream/host.ts'

const PEER = {
  identity: undefined,
  workload: undefined,
  service: undefined,
} as Partial<DownstreamPeer> as DownstreamPeer
const MESSAGE = Buffer.alloc(5)

function call(): RequestRecord {
  const record = new RequestRecord({ peer: PEER, startedAtMs: 0, startedMs: 0 })
  record.requestMessages = new GrpcMessageCounter()
  return record
}

test('a call that lasts is told of every five seconds, once it is known where it goes, and at its end', async () => {
  const clock = new VirtualClock()
  const metrics = new MetricsRegistry()
  const series = new GrpcMessageSeries({ clock }, { metrics, reporter: () => 'waypoint' })
  const counted = () => Number(/^istio_request_messages_total\{.*\} (\d+)$/m.exec(metrics.expose())?.[1] ?? 0)
  const record = call()
  series.began(record)
  record.requestMessages!.add(MESSAGE)
  await clock.advance(5000)
  expect(counted()).toBe(0)
  record.upstreamHost = { workload: undefined } as Partial<UpstreamHost> as UpstreamHost
  await clock.advance(5000)
  expect(counted()).toBe(1)
  record.requestMessages!.add(Buffer.concat([MESSAGE, MESSAGE]))
  await clock.advance(4999)
  expect(counted()).toBe(1)
  await clock.advance(1)
  expect(counted()).toBe(3)
  record.requestMessages!.add(MESSAGE)
  series.ended(record)
  expect(counted()).toBe(4)
  await clock.advance(60_000)
  expect(counted()).toBe(4)
})

test('a call that goes nowhere is told of at its end', () => {
  const metrics = new MetricsRegistry()
  const series = new GrpcMessageSeries({ clock: new VirtualClock() }, { metrics, reporter: () => 'waypoint' })
  const record = call()
  series.began(record)
  record.requestMessages!.add(MESSAGE)
  series.ended(record)
  expect(metrics.expose()).toMatch(/^istio_request_messages_total\{reporter="waypoint",.*\} 1$/m)
  expect(metrics.expose()).not.toMatch(/request_protocol/)
})

test('labels that a Telemetry adds are evaluated without heads, as Istio has it', () => {
  const metrics = new MetricsRegistry()
  const tags = TagRewriting.compile({ GRPC_REQUEST_MESSAGES: { host: 'request.host', size: 'string(request.size)' } })
  const init = { metrics, reporter: () => 'waypoint' as const, tags: () => tags }
  const series = new GrpcMessageSeries({ clock: new VirtualClock() }, init)
  const record = Object.assign(call(), { authority: 'web' })
  series.began(record)
  record.requestMessages!.add(MESSAGE)
  series.ended(record)
  expect(metrics.expose()).toMatch(/^istio_request_messages_total\{.*,host="unknown",size="0"\} 1$/m)
})
