import type { ExtAuthz } from '@ambient-lab/xds'
import { CHECK_PATH, encodeConnectionCheck, readCheckResponse } from './grpc/ext-authz-messages.ts'
import { GrpcCall, type GrpcCallInit } from './grpc/grpc-call.ts'
import type { DownstreamPeer } from './request-record.ts'

export interface TcpAuthorizationInit {
  readonly peer: DownstreamPeer
  /** SNI; undefined without TLS. */
  readonly serverName: string | undefined
  /** By name. */
  readonly providers: ReadonlyMap<string, ExtAuthz>
  /** Called once unless cancelled, never at once. @param refusal `response_code_details`; undefined: it may go on */
  readonly onDecided: (refusal: 'ext_authz_denied' | 'ext_authz_error' | undefined) => void
}

/**
 * Asks about a connection, over gRPC, whom its CUSTOM policies name: Envoy's network filter ext_authz. It asks before the
 * first byte, so that it holds for protocols in which the server speaks first, too.
 */
export class TcpAuthorization {
  readonly #runtime: GrpcCallInit['runtime']
  readonly #init: TcpAuthorizationInit
  #call: GrpcCall | undefined

  constructor(runtime: GrpcCallInit['runtime'], init: TcpAuthorizationInit) {
    this.#runtime = runtime
    this.#init = init
  }

  /** One after the other; the first that says no, or cannot be asked, ends it. */
  ask([name, ...others]: readonly string[]): void {
    const { peer, serverName, providers, onDecided } = this.#init
    if (name === undefined) return onDecided(undefined)
    const provider = providers.get(name)
    // A provider that speaks HTTP has no words for connections; no policy of theirs names one.
    if (provider?.protocol !== 'grpc') return queueMicrotask(() => onDecided('ext_authz_error'))
    const { cluster, authority, timeoutMs, failOpen } = provider
    this.#call = new GrpcCall({
      ...{ runtime: this.#runtime, peer, cluster, authority, path: CHECK_PATH, timeoutMs },
      message: encodeConnectionCheck(peer, serverName),
      onAnswer: (message) => {
        this.#call = undefined
        const answer = message && readCheckResponse(message)
        if (!answer && !failOpen) return onDecided('ext_authz_error')
        if (answer && !answer.allowed) return onDecided('ext_authz_denied')
        this.ask(others)
      },
    })
  }

  cancel(): void {
    this.#call?.cancel()
  }
}
