import { discoveryError } from './errors.ts'
import type { AgentMessage, ControlPlaneMessage } from './messages.ts'
import { TYPE_URLS } from './resources/index.ts'
import {
  anything,
  boolean,
  either,
  isObject,
  list,
  number,
  object,
  oneOf,
  optional,
  port,
  record,
  type Shape,
  string,
} from './shape.ts'

const typeUrl = oneOf(...TYPE_URLS)
const address = object({ host: string, port })
const fault = object({ code: string, message: string })
const latency = object({ min: number, p50: number, p90: number, p99: number, p999: number, max: number, mean: number })

const containerReport = object({
  name: string,
  phase: oneOf('waiting', 'running', 'terminated'),
  ready: boolean,
  reason: string,
  message: string,
  restarts: number,
})

const workloadReport = object({
  uid: string,
  phase: oneOf('Pending', 'Running', 'Succeeded', 'Failed'),
  ready: boolean,
  reason: string,
  message: string,
  restarts: number,
  startedAtMs: number,
  captured: boolean,
  capture: optional(address),
  dns: optional(address),
  ports: record(address),
  pid: optional(number),
  containers: optional(list(containerReport)),
  certificate: optional(
    object({
      state: oneOf('Initializing', 'Available', 'Unavailable'),
      notAfterMs: number,
      reason: string,
      serialNumber: string,
      root: string,
      trusts: list(string),
    }),
  ),
})

const eventReport = object({
  atMs: number,
  severity: oneOf('Normal', 'Warning'),
  reason: string,
  message: string,
  uid: optional(string),
})

const loadProgress = object({
  name: string,
  namespace: string,
  state: oneOf('running', 'finished', 'failed'),
  startedAtMs: number,
  intended: number,
  sent: number,
  completed: number,
  failed: number,
  late: number,
  outcomes: record(number),
  latencyMs: latency,
  uncorrectedMs: latency,
  histogram: string,
  message: string,
})

const AGENT_MESSAGES: Readonly<Record<AgentMessage['type'], Shape>> = {
  hello: object({
    node: string,
    version: string,
    pid: number,
    startedAtMs: number,
    machine: string,
    hbone: address,
    underlay: address,
    ports: object({ admin: port, metrics: port, ready: port }),
  }),
  subscribe: object({ typeUrl, initialVersions: record(string) }),
  ack: object({ typeUrl, nonce: string }),
  nack: object({ typeUrl, nonce: string, errors: list(object({ name: string, reason: string })) }),
  sign: object({ id: number, csrPem: string, ttlSeconds: number }),
  report: object({
    workloads: optional(list(workloadReport)),
    events: optional(list(eventReport)),
    loads: optional(list(loadProgress)),
  }),
  result: either('error', object({ id: number, error: fault }), object({ id: number, result: anything })),
}

const CONTROL_PLANE_MESSAGES: Readonly<Record<ControlPlaneMessage['type'], Shape>> = {
  welcome: object({ version: string, trustDomain: string, clusterId: string, clusterDomain: string, network: string }),
  delta: object({
    typeUrl,
    nonce: string,
    upserts: list(object({ name: string, version: string, resource: anything })),
    removed: list(string),
    systemVersion: string,
  }),
  signed: either(
    'error',
    object({ id: number, error: fault }),
    object({ id: number, chainPem: list(string), rootsPem: list(string) }),
  ),
  call: object({ id: number, method: oneOf('traffic', 'log', 'review', 'replay', 'requests'), params: anything }),
}

/** @throws CodedError MALFORMED_MESSAGE, naming the field */
export type Decode<Message> = (text: string) => Message

export const decodeAgentMessage: Decode<AgentMessage> = (text) => decode(text, AGENT_MESSAGES) as AgentMessage

export const decodeControlPlaneMessage: Decode<ControlPlaneMessage> = (text) =>
  decode(text, CONTROL_PLANE_MESSAGES) as ControlPlaneMessage

function decode(text: string, shapes: Readonly<Record<string, Shape>>): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw discoveryError('MALFORMED_MESSAGE', 'not JSON', cause)
  }
  const type = isObject(value) ? value.type : undefined
  if (typeof type !== 'string' || !Object.hasOwn(shapes, type)) {
    throw discoveryError('MALFORMED_MESSAGE', `unknown message type ${JSON.stringify(type)?.slice(0, 40)}`)
  }
  const found = shapes[type]!(value, type)
  if (found) throw discoveryError('MALFORMED_MESSAGE', found)
  return value
}
