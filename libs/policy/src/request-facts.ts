import type { ConnectionFacts } from './connection-facts.ts'
import type { Facts } from './facts.ts'
import { type IpAddress, parseIp } from './ip.ts'

export type JwtPayload = Readonly<Record<string, unknown>>

/** A request as whoever reads HTTP can tell of it; asked for what some policy wants, and for nothing else. */
export interface RequestView {
  readonly method: string
  /** `:authority` or Host, as the client sent it. */
  readonly authority: string
  /** With its query, after path normalization. */
  readonly path: string
  /** By lower-case name; of several lines the values joined by a comma; undefined when there is none. */
  header(name: string): string | undefined
  /** Client's IP literal, by `x-forwarded-for` where it is trusted. @default the connection's source */
  readonly remoteIp?: string | undefined
  /** Claims of the token that was verified; undefined without one. */
  readonly jwt?: JwtPayload | undefined
  /** What a filter of that name wrote down about the request. */
  metadata?(filter: string): JwtPayload | undefined
}

/**
 * What policy may ask about one request. What holds for its connection is shared by all requests on it, and what is
 * derived from the request is made when the first matcher wants it.
 */
export class RequestFacts implements Facts {
  readonly connection: ConnectionFacts
  readonly view: RequestView
  #path: string | undefined
  #host: string | undefined
  #remote: IpAddress | undefined

  constructor(connection: ConnectionFacts, view: RequestView) {
    this.connection = connection
    this.view = view
  }

  get request(): RequestFacts {
    return this
  }

  /** By lower-case name; pseudo headers too, and Host, which is the authority to Envoy. */
  header(name: string): string | undefined {
    switch (name) {
      case 'host':
      case ':authority':
        return this.view.authority
      case ':method':
        return this.view.method
      case ':path':
        return this.view.path
      default:
        return this.view.header(name)
    }
  }

  /** Without query and fragment. */
  get path(): string {
    this.#path ??= withoutQuery(this.view.path)
    return this.#path
  }

  /** The authority in lower case. */
  get host(): string {
    this.#host ??= this.view.authority.toLowerCase()
    return this.#host
  }

  get remoteIp(): string {
    return this.view.remoteIp ?? this.connection.init.sourceIp
  }

  get remote(): IpAddress | undefined {
    if (this.view.remoteIp === undefined) return this.connection.source
    this.#remote ??= parseIp(this.view.remoteIp)
    return this.#remote
  }
}

/** @see Envoy `PathUtil::removeQueryAndFragment`: whichever comes first ends the path */
export function withoutQuery(path: string): string {
  for (let index = 0; index < path.length; index += 1) {
    const code = path.charCodeAt(index)
    if (code === QUESTION_MARK || code === HASH) return path.slice(0, index)
  }
  return path
}

const QUESTION_MARK = 63
const HASH = 35
