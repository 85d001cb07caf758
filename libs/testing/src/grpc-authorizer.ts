import {
  type ClientUnaryCall,
  credentials,
  type handleUnaryCall,
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { EXT_AUTHZ_PROTO } from './ext-authz-proto.ts'

/** A message as protobufjs shows it: what is not set is not there. */
export type ProtoJson = Readonly<Record<string, unknown>>

interface AuthorizationClient {
  check(
    request: ProtoJson,
    metadata: Metadata,
    options: { readonly deadline: number },
    done: (error: ServiceError | null, response?: ProtoJson) => void,
  ): ClientUnaryCall
  close(): void
}

const packages = loadPackageDefinition(
  fromJSON(EXT_AUTHZ_PROTO as unknown as Parameters<typeof fromJSON>[0], { keepCase: true, longs: Number }),
)
const { envoy } = packages as unknown as {
  readonly envoy: {
    readonly service: { readonly auth: { readonly v3: Readonly<Record<string, ServiceClientConstructor>> } }
  }
}
const Authorization = envoy.service.auth.v3.Authorization!

export type CheckHandler = handleUnaryCall<ProtoJson, ProtoJson>

/** An authorizer on grpc-js, the real thing: what it is asked, it hands to `handler`. */
export class GrpcAuthorizer implements Disposable {
  handler: CheckHandler = (_call, done) => done(null, {})
  #server = new Server()
  #port = 0

  get address(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.#port }
  }

  async listen(): Promise<void> {
    const check: CheckHandler = (call, done) => this.handler(call, done)
    this.#server.addService(Authorization.service, { Check: check })
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      )
    })
  }

  /** Announces the end of each connection (GOAWAY), and finishes what is under way. */
  drain(): void {
    this.#server.drain(`127.0.0.1:${this.#port}`, 60_000)
  }

  /** Dies: every connection is cut where it is. */
  kill(): void {
    this.#server.forceShutdown()
  }

  [Symbol.dispose](): void {
    this.kill()
  }
}

/** How one call of `Check` ended. */
export interface CheckOutcome {
  readonly response: ProtoJson | undefined
  readonly code: number
  readonly details: string
  /** Of the head of the answer. */
  readonly headers: Metadata | undefined
}

export interface CheckOptions {
  readonly metadata?: Readonly<Record<string, string>>
  /** @default 10000 */
  readonly deadlineMs?: number
  /** 2: gzip. @default 0 */
  readonly compression?: 0 | 2
}

/** A client on grpc-js, with a connection of its own until disposed. */
export class GrpcChecker implements Disposable {
  readonly #client: AuthorizationClient

  constructor(
    { host, port }: { readonly host: string; readonly port: number },
    { compression = 0 }: CheckOptions = {},
  ) {
    const options = { 'grpc.default_compression_algorithm': compression, 'grpc.max_receive_message_length': -1 }
    this.#client = new Authorization(
      `${host}:${port}`,
      credentials.createInsecure(),
      options,
    ) as unknown as AuthorizationClient
  }

  check(request: ProtoJson, { metadata = {}, deadlineMs = 10_000 }: CheckOptions = {}): Promise<CheckOutcome> {
    const sent = new Metadata()
    for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
    return new Promise((resolve) => {
      let response: ProtoJson | undefined
      let headers: Metadata | undefined
      const call = this.#client.check(
        request,
        sent,
        { deadline: performance.timeOrigin + performance.now() + deadlineMs },
        (_error, answer) => {
          response = answer
        },
      )
      call.on('metadata', (head: Metadata) => {
        headers = head
      })
      call.on('status', ({ code, details }: StatusObject) => {
        // The answer is told behind the status.
        setImmediate(() => resolve({ response, code, details, headers }))
      })
    })
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }
}
