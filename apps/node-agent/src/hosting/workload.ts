import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock, Random } from '@ambient-lab/std'
import type { AppClient } from './app-client.ts'
import type { ContainerFiles } from './container-files.ts'

/**
 * A program that this lab plays itself instead of pulling its image: what it answers on the wire is the image's, its code
 * is ours. One file in `workloads/` each.
 */
export interface WorkloadDefinition {
  readonly name: string
  /**
   * Image repositories without tag or digest: exact, or the end of a path (`examples-bookinfo-details-v1` matches in
   * any registry), `*` for the rest of a name.
   */
  readonly images: readonly string[]
  /** What it listens on where the container spec declares no port. @default none */
  readonly ports?: (container: ContainerSpec) => readonly number[]
  /** One instance for each container; it may keep state, as the program's memory would. */
  create(context: WorkloadContext): WorkloadApp | Promise<WorkloadApp>
}

/** Identity, typed: what the catalogue expects of its files. */
export function defineWorkload(definition: WorkloadDefinition): WorkloadDefinition {
  return definition
}

export interface ContainerSpec {
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly ports: readonly number[]
}

export interface PodIdentity {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly address: string
  readonly node: string
  readonly labels: Readonly<Record<string, string>>
}

export interface WorkloadContext {
  readonly pod: PodIdentity
  readonly container: ContainerSpec
  /** The container's variables, and HOSTNAME as Kubernetes sets it. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** What ConfigMaps put into its file system, `volumeMounts`. */
  readonly files: ContainerFiles
  /** HTTP through the pod's capture: the only way out that an app has. */
  readonly client: AppClient
  readonly clock: Clock
  readonly random: Random
  /** One line on the container's stdout. */
  log(line: string): void
}

/**
 * What a created app serves, on all of its ports alike but for TLS. Neither: it lives and does nothing, as
 * `sleep infinity` does.
 */
export interface WorkloadApp {
  /** A rejection is answered with 500 and logged; it does not end the app. */
  http?(request: AppRequest): AppReply | Promise<AppReply>
  /** Owns the socket from here on. */
  tcp?(socket: Socket): void
  /** Takes over a connection whose request asked for another protocol; only an app with HTTP/2 or TLS is asked. */
  upgrade?(request: AppRequest, socket: Duplex, head: Buffer): void
  /** HTTP/2 as well: by prior knowledge, or by ALPN where there is TLS. @default false */
  readonly http2?: boolean
  /** What a port presents of itself where TLS ends at the app. */
  tls?(port: number): AppKeyPair | undefined
}

/** PEM. */
export interface AppKeyPair {
  readonly key: string
  readonly cert: string
}

export interface AppRequest {
  readonly method: string
  /** Without the query, still percent-encoded. */
  readonly path: string
  readonly query: URLSearchParams
  /** The request target as received. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  /** Names as they came, values in order. */
  readonly rawHeaders: readonly string[]
  readonly remoteAddress: string
  /** The container's port that it came to. */
  readonly port: number
  /** `1.1`, `2.0`. */
  readonly httpVersion: string
  /** Of a connection whose TLS ended here. */
  readonly tls?: { readonly version: string; readonly serverName: string; readonly protocol: string }
  /** @throws CodedError BODY_TOO_LARGE */
  body(): Promise<Buffer>
  /** Aborts when the caller went away. */
  readonly signal: AbortSignal
}

export interface AppReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** One that fails before its first chunk cuts the connection: nothing of the answer is sent. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array | string>
  readonly trailers?: Readonly<Record<string, string>>
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): AppReply {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

export function text(status: number, body: string, type = 'text/plain; charset=utf-8'): AppReply {
  return { status, headers: { 'content-type': type }, body }
}
