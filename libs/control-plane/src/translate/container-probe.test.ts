import type { Container, Probe } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { containerProbe } from './container-probe.ts'

const CONTAINER: Container = { name: 'web', ports: [{ name: 'http', containerPort: 8080 }] }
const DEFAULTS = { initialDelayMs: 0, periodMs: 10_000, timeoutMs: 1000, successThreshold: 1, failureThreshold: 3 }
const GET = { path: '/', secure: false, headers: [] }

describe('a probe', () => {
  it.each<[string, Probe | undefined, unknown]>([
    ['that is none', undefined, undefined],
    ['of a number', { httpGet: { port: 81 } }, { ...DEFAULTS, port: 81, http: GET }],
    ['of a name', { httpGet: { port: 'http' } }, { ...DEFAULTS, port: 8080, http: GET }],
    ['of a name that the container does not have', { httpGet: { port: 'grpc' } }, undefined],
    [
      'with all it can say',
      {
        httpGet: { port: 80, path: '/live', scheme: 'HTTPS', httpHeaders: [{ name: 'a', value: 'b' }] },
        ...{ initialDelaySeconds: 5, periodSeconds: 2, timeoutSeconds: 3, successThreshold: 4, failureThreshold: 1 },
      },
      {
        port: 80,
        http: { path: '/live', secure: true, headers: [{ name: 'a', value: 'b' }] },
        ...{ initialDelayMs: 5000, periodMs: 2000, timeoutMs: 3000, successThreshold: 4, failureThreshold: 1 },
      },
    ],
    ['of a socket', { tcpSocket: { port: 'http' } }, { ...DEFAULTS, port: 8080 }],
    ['of gRPC: whether it accepts', { grpc: { port: 9000 } }, { ...DEFAULTS, port: 9000 }],
    ['of a command', { exec: { command: ['cat', '/ready'] } }, { ...DEFAULTS, exec: ['cat', '/ready'] }],
    ['that asks nothing', {}, undefined],
  ])('%s', (_, given, expected) => {
    expect(containerProbe(given, CONTAINER)).toEqual(expected)
  })
})
