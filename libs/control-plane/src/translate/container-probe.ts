import type { Container, Probe } from '@ambient-lab/api'
import type { ContainerProbe } from '@ambient-lab/xds'

const MS_PER_SECOND = 1000

/**
 * A probe as its node carries it out. Undefined for one that asks nothing, and for a named port that the container does
 * not have. A gRPC probe asks whether its port accepts.
 */
export function containerProbe(probe: Probe | undefined, { ports = [] }: Container): ContainerProbe | undefined {
  const { httpGet, tcpSocket, grpc, exec } = probe ?? {}
  const wanted = httpGet?.port ?? tcpSocket?.port ?? grpc?.port
  const port = typeof wanted === 'string' ? ports.find(({ name }) => name === wanted)?.containerPort : wanted
  if (!probe || (port === undefined && !exec)) return undefined
  return {
    ...(exec ? { exec: exec.command } : { port: port! }),
    ...(httpGet && {
      http: {
        path: httpGet.path ?? '/',
        secure: httpGet.scheme === 'HTTPS',
        headers: httpGet.httpHeaders ?? [],
      },
    }),
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * MS_PER_SECOND,
    periodMs: (probe.periodSeconds ?? 10) * MS_PER_SECOND,
    timeoutMs: (probe.timeoutSeconds ?? 1) * MS_PER_SECOND,
    successThreshold: probe.successThreshold ?? 1,
    failureThreshold: probe.failureThreshold ?? 3,
  }
}
