/** A Gateway's door: where a case sends its requests. */
export interface Destination {
  /** `namespace/name` */
  readonly gateway: string
  /** Null: of the scheme. */
  readonly port: number | null
}

export interface TrafficRequest {
  /** Of mesh cases a Service's name, with a port or without. */
  readonly host?: string
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly protocol?: string
  /** Of gRPC. */
  readonly service?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly authority?: string
}

export interface RequestAtBackend {
  readonly host?: string
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly absentHeaders?: readonly string[]
  readonly sni?: string
  /** One line of this name, whose value is the start of the answering pod's name. */
  readonly exactlyOneHeader?: string
}

export interface TrafficExpectation {
  readonly status?: readonly number[]
  readonly code?: number
  readonly backend?: string
  readonly neverBackend?: string
  readonly namespace?: string
  readonly requestAtBackend?: RequestAtBackend
  readonly response?: {
    readonly headers?: Readonly<Record<string, string>>
    readonly absentHeaders?: readonly string[]
  }
  readonly redirect?: {
    readonly scheme?: string
    readonly host?: string
    readonly port?: string
    readonly path?: string
  }
  readonly mirroredTo?: readonly { readonly name: string; readonly namespace: string }[]
  readonly backendIsTLS?: boolean
  /** The server name at the backend. */
  readonly hostname?: string
}

/** One entry of a case's requests; which fields there are depends on its kind. */
export interface TrafficCheck {
  readonly seq: number
  readonly kind: string
  readonly name?: string
  readonly to?: Destination
  readonly from?: { readonly namespace: string; readonly selector: string }
  readonly request?: TrafficRequest
  readonly expected: TrafficExpectation
  readonly repeat?: number
  readonly serverName?: string
  readonly serverCertificate?: CertificateSource
  readonly clientCertificate?: { readonly secret: string }
  readonly useTLS?: boolean
  readonly requests?: number
  readonly tolerance?: number
  readonly weights?: Readonly<Record<string, number>>
  /** Of WebSocket. */
  readonly path?: string
  readonly exchange?: readonly { readonly send: WebSocketMessage; readonly receive: WebSocketMessage }[]
}

export type WebSocketMessage = { readonly text: string } | { readonly binaryHex: string }

/** `namespace/name` of what holds it. */
export type CertificateSource = { readonly secret: string } | { readonly configMap: string }
