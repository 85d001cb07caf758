import type { Logger } from './log.ts'
import { type LogFields, unquoted } from './log-format.ts'

/** One end of a connection, as far as it is known. */
export interface AccessEnd {
  /** `10.244.0.7:34512`. */
  readonly addr: string
  readonly workload?: string | undefined
  readonly namespace?: string | undefined
  /** SPIFFE id; only when mutual TLS has proved it. */
  readonly identity?: string | undefined
  readonly cluster?: string | undefined
}

export interface AccessRecord {
  readonly source: AccessEnd
  readonly destination: AccessEnd & {
    /** The address inside the tunnel, where the connection went through one. */
    readonly hboneAddr?: string | undefined
    /** Host name of the service that was dialled. */
    readonly service?: string | undefined
  }
  readonly direction: 'inbound' | 'outbound'
}

export interface AccessOutcome {
  /** As the source sees it, whichever side reports. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  readonly error?: string | undefined
}

/** The target that ztunnel writes connections under, and that `/logging?level=access:debug` names. */
export const ACCESS_LOG_TARGET = 'access'

/** ztunnel's access log: what is quoted and in which order is what its users' parsers rely on. */
export class AccessLog {
  readonly #logger: Logger

  /** @param logger of target `access` */
  constructor(logger: Logger) {
    this.#logger = logger
  }

  opened(record: AccessRecord): void {
    if (!this.#logger.enabled('debug')) return
    this.#logger.debug('connection opened', { ...endFields(record), direction: record.direction })
  }

  /** Level error when there was one, info otherwise. */
  complete(record: AccessRecord, outcome: AccessOutcome): void {
    const level = outcome.error === undefined ? 'info' : 'error'
    if (!this.#logger.enabled(level)) return
    this.#logger.log(level, 'connection complete', {
      ...endFields(record),
      direction: record.direction,
      bytes_sent: outcome.bytesSent,
      bytes_recv: outcome.bytesReceived,
      duration: `${Math.floor(outcome.durationMs)}ms`,
      error: outcome.error,
    })
  }

  /** Refused before anything was known about it but its addresses. */
  failed(denied: {
    readonly sourceAddr: string
    readonly destinationAddr: string
    readonly direction: AccessRecord['direction']
    readonly error: string
  }): void {
    this.#logger.warn('connection failed', {
      'src.addr': unquoted(denied.sourceAddr),
      'dst.addr': unquoted(denied.destinationAddr),
      direction: denied.direction,
      error: denied.error,
    })
  }
}

function endFields({ source, destination }: AccessRecord): LogFields {
  return {
    'src.addr': unquoted(source.addr),
    'src.workload': source.workload,
    'src.namespace': source.namespace,
    'src.identity': source.identity,
    'src.cluster': source.cluster,
    'dst.addr': unquoted(destination.addr),
    'dst.hbone_addr': destination.hboneAddr === undefined ? undefined : unquoted(destination.hboneAddr),
    'dst.service': destination.service,
    'dst.workload': destination.workload,
    'dst.namespace': destination.namespace,
    'dst.identity': destination.identity,
    'dst.cluster': destination.cluster,
  }
}
