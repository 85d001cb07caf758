import { type CancelTimer, CodedError } from '@ambient-lab/std'
import { HeaderMap } from '../../http1/index.ts'
import type { HttpRuntime } from '../http-runtime.ts'
import type { DownstreamPeer } from '../request-record.ts'
import { UpstreamCall, type UpstreamCallResult } from '../upstream/upstream-call.ts'
import { ProtoMessage } from './protobuf.ts'

export interface GrpcCallInit {
  readonly runtime: Pick<HttpRuntime, 'clusters' | 'clock' | 'random'>
  /** On whose behalf. */
  readonly peer: DownstreamPeer
  /** Name of a cluster. */
  readonly cluster: string
  readonly authority: string
  /** `/package.Service/Method` */
  readonly path: string
  readonly message: Uint8Array
  readonly timeoutMs: number
  /** Called once unless cancelled; undefined: nobody answered in time, or not as agreed. */
  readonly onAnswer: (answer: ProtoMessage | undefined) => void
}

/** One unary call through a cluster of the proxy, as Envoy's own clients make them. */
export class GrpcCall {
  readonly #call: UpstreamCall | undefined
  readonly #cancelTimeout: CancelTimer
  readonly #onAnswer: GrpcCallInit['onAnswer']
  #over = false

  constructor(init: GrpcCallInit) {
    const { peer, authority, path, message, timeoutMs } = init
    const { clusters, clock, random } = init.runtime
    this.#onAnswer = init.onAnswer
    this.#cancelTimeout = clock.schedule(timeoutMs, () => {
      this.#call?.cancel()
      this.#end(undefined)
    })
    const cluster = clusters.get(init.cluster)
    if (!cluster) {
      queueMicrotask(() => this.#end(undefined))
      return
    }
    const body = framed(message)
    const headers = new HeaderMap([
      ['host', authority],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['grpc-timeout', grpcTimeout(timeoutMs)],
    ])
    this.#call = new UpstreamCall({
      cluster,
      clock,
      random,
      peer,
      head: { method: 'POST', target: path, headers, framing: 'length', contentLength: body.length },
      body,
      isHttp2: true,
      onResult: (result) => this.#end(result && answerOf(result)),
    })
    this.#call.start()
  }

  cancel(): void {
    this.#over = true
    this.#cancelTimeout()
    this.#call?.cancel()
  }

  #end(answer: ProtoMessage | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#cancelTimeout()
    this.#onAnswer(answer)
  }
}

/** At most eight digits, in the finest unit that has room. @see PROTOCOL-HTTP2.md, Timeout */
export function grpcTimeout(timeoutMs: number): string {
  const wholeMs = Math.ceil(timeoutMs)
  return wholeMs < 1e8 ? `${wholeMs}m` : `${Math.ceil(wholeMs / 1000)}S`
}

/** @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message */
function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}

function answerOf({ status, headers, trailers, body }: UpstreamCallResult): ProtoMessage | undefined {
  const grpcStatus = trailers?.get('grpc-status') ?? headers.get('grpc-status')
  const isWhole = body.length >= 5 && body[0] === 0 && body.readUInt32BE(1) === body.length - 5
  if (status !== 200 || grpcStatus !== '0' || !isWhole) return undefined
  try {
    return new ProtoMessage(body.subarray(5))
  } catch (error) {
    if (!CodedError.is(error, 'PROTOBUF_MALFORMED')) throw error
    return undefined
  }
}
