import { CodedError } from '@ambient-lab/std'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeAgentMessage, decodeControlPlaneMessage } from './decode.ts'
import type { AgentMessage, ControlPlaneMessage, WorkloadReport } from './messages.ts'
import { ADDRESS_TYPE, ASSIGNMENT_TYPE } from './resources/index.ts'

const PLACE = { host: '127.0.0.1', port: 15008 }
const LATENCY = { min: 0, p50: 1, p90: 2, p99: 3, p999: 4, max: 5, mean: 1.5 }

const REPORT = {
  ...{ uid: 'u', phase: 'Running', ready: true, reason: '', message: '', restarts: 0, startedAtMs: 1 },
  ...{
    captured: true,
    capture: PLACE,
    ports: { '9080': PLACE },
    containers: [{ name: 'app', phase: 'running', ready: true, reason: '', message: '', restarts: 0 }],
    certificate: {
      ...{ state: 'Available', notAfterMs: 1, reason: '', serialNumber: '11', root: 'a', trusts: ['a', 'b'] },
    },
  },
} satisfies WorkloadReport

const AGENT_MESSAGES: readonly AgentMessage[] = [
  {
    ...{ type: 'hello', node: 'n1', version: '0.1.0', pid: 1, startedAtMs: 1, machine: 'm' },
    ...{ hbone: PLACE, underlay: PLACE, ports: { admin: 1, metrics: 2, ready: 3 } },
  },
  { type: 'subscribe', typeUrl: ADDRESS_TYPE, initialVersions: { a: '1' } },
  { type: 'ack', typeUrl: ADDRESS_TYPE, nonce: '1' },
  { type: 'nack', typeUrl: ADDRESS_TYPE, nonce: '1', errors: [{ name: 'a', reason: 'no' }] },
  { type: 'sign', id: 1, csrPem: 'PEM', ttlSeconds: 86_400 },
  {
    type: 'report',
    workloads: [REPORT],
    events: [{ atMs: 1, severity: 'Warning', reason: 'BackOff', message: 'no', uid: 'u' }],
    loads: [
      {
        ...{ name: 'l', namespace: 'default', state: 'running', startedAtMs: 1, intended: 1, sent: 1, completed: 1 },
        ...{ failed: 0, late: 0, outcomes: { '200': 1 }, latencyMs: LATENCY, uncorrectedMs: LATENCY },
        ...{ histogram: '', message: '' },
      },
    ],
  },
  { type: 'report' },
  { type: 'result', id: 1, result: null },
  { type: 'result', id: 1, error: { code: 'X', message: 'x' } },
]

const CONTROL_PLANE_MESSAGES: readonly ControlPlaneMessage[] = [
  { type: 'welcome', version: '0.1.0', trustDomain: 't', clusterId: 'c', clusterDomain: 'd', network: '' },
  {
    ...{ type: 'delta', typeUrl: ASSIGNMENT_TYPE, nonce: '1', removed: ['b'], systemVersion: '7' },
    upserts: [{ name: 'a', version: '1', resource: {} }],
  },
  { type: 'signed', id: 1, chainPem: ['a'], rootsPem: ['b'] },
  { type: 'signed', id: 1, error: { code: 'NOT_PLACED_HERE', message: 'no' } },
  { type: 'call', id: 1, method: 'traffic', params: { edgesOnly: true } },
]

describe('a message that is well formed', () => {
  it.each(AGENT_MESSAGES.map((message) => [message.type, message] as const))('%s of an agent', (_, message) => {
    expect(decodeAgentMessage(JSON.stringify(message))).toEqual(message)
  })

  it.each(CONTROL_PLANE_MESSAGES.map((message) => [message.type, message] as const))(
    '%s of a control plane',
    (_, message) => {
      expect(decodeControlPlaneMessage(JSON.stringify(message))).toEqual(message)
    },
  )

  it('may say more than we know', () => {
    expect(decodeAgentMessage('{"type":"report","weather":"fine"}')).toMatchObject({ type: 'report' })
  })
})

describe('a message that is not', () => {
  const decoders = [decodeAgentMessage, decodeControlPlaneMessage]

  it.each([
    ['port', { ...AGENT_MESSAGES[0], hbone: { host: 'h', port: 65_536 } }, 'hello.hbone.port is not a port'],
    ['ports', { ...AGENT_MESSAGES[0], ports: { admin: 1 } }, 'hello.ports.metrics is not a port'],
    ['list', { ...AGENT_MESSAGES[3], errors: {} }, 'nack.errors is not a list'],
    ['element', { ...AGENT_MESSAGES[3], errors: [null] }, 'nack.errors[0] is not an object'],
    ['result', { type: 'result', id: 1 }, 'result.result is missing'],
    ['versions', { ...AGENT_MESSAGES[1], initialVersions: { a: 1 } }, 'subscribe.initialVersions.a is not a string'],
    [
      'container',
      { type: 'report', workloads: [{ ...REPORT, containers: [{ name: 'app', phase: 'lost' }] }] },
      'report.workloads[0].containers[0].phase is none of waiting, running, terminated',
    ],
  ])('names what is wrong with its %s', (_, message, fault) => {
    expect(() => decodeAgentMessage(JSON.stringify(message))).toThrow(fault)
  })

  it('never does worse than to be refused, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        for (const decode of decoders) expectDecodedOrRefused(() => decode(text))
      }),
      { seed: 1 },
    )
  })

  it('never does worse than to be refused, whatever part of a good one is replaced', () => {
    const texts = [...AGENT_MESSAGES, ...CONTROL_PLANE_MESSAGES].map((message) => JSON.stringify(message))
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(), fc.string({ maxLength: 5 }), (text, at, splice) => {
        const cut = at % text.length
        const broken = text.slice(0, cut) + splice + text.slice(cut + splice.length)
        for (const decode of decoders) expectDecodedOrRefused(() => decode(broken))
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

function expectDecodedOrRefused(decode: () => { readonly type: string }): void {
  try {
    expect(typeof decode().type).toBe('string')
  } catch (error) {
    expect(CodedError.is(error, 'MALFORMED_MESSAGE')).toBe(true)
  }
}
