import type { Clock } from '@ambient-lab/std'
import type { OtlpSpanExporterComponents } from '@ambient-lab/telemetry'
import type { PlainNetwork } from './plain-network.ts'

/** How long a collector may take. */
const POST_TIMEOUT_MS = 10_000

/**
 * One POST on a connection of its own. The collector is named by the proxy's configuration and runs outside of the lab.
 * @returns a function that throws when the collector cannot be reached; what it answers is its own affair
 */
export function postOverHttp(components: {
  readonly clock: Clock
  readonly network: PlainNetwork
}): OtlpSpanExporterComponents['post'] {
  const { clock, network } = components
  return async (endpoint, body) => {
    const url = new URL(endpoint)
    const target = { host: url.hostname, port: Number(url.port) || 80 }
    const stream = await network.dial(target, { timeoutMs: POST_TIMEOUT_MS })
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = clock.schedule(POST_TIMEOUT_MS, () => stream.end(), { background: true })
    stream.start({ onData: () => stream.end(), onEnd: () => stream.end(), onDrain() {}, onClose: () => resolve() })
    const bytes = Buffer.from(body)
    const head =
      `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\n` +
      `content-length: ${bytes.length}\r\nconnection: close\r\n\r\n`
    stream.write(Buffer.from(head, 'latin1'))
    stream.write(bytes)
    await promise
    cancel()
  }
}
