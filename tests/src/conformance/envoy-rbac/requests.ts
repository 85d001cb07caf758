import type { AuthorizationPolicy } from '@ambient-lab/api'
import type { Random } from '@ambient-lab/std'

/** One request in a form that both sides can be asked with. */
export interface GeneratedRequest {
  readonly identity:
    | { readonly trustDomain: string; readonly namespace: string; readonly serviceAccount: string }
    | undefined
  readonly sourceIp: string
  readonly remoteIp: string
  readonly destinationIp: string
  readonly destinationPort: number
  readonly serverName: string
  readonly method: string
  readonly authority: string
  readonly path: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly jwt: Readonly<Record<string, unknown>> | undefined
  readonly metadata: Readonly<Record<string, unknown>>
}

const COMMON = {
  trustDomain: ['cluster.local', 'td1', 'td2', 'foobar', 'bar', 'elsewhere'],
  namespace: ['foo', 'default', 'ns', 'sa'],
  serviceAccount: ['curl', 'default', 'a'],
  ip: ['10.0.0.1', '1.2.3.4', '1.2.3.5', '5.6.7.8', '::1', 'fd00::1', '192.168.7.7'],
  port: ['80', '443', '8080'],
  host: ['example.com', 'EXAMPLE.com', 'example.com:80'],
  method: ['GET', 'POST', 'get'],
  path: ['/', '/a', '/a/b/c', '/a?q=/exact', '/a%2Fb', '/ä'],
  text: ['', 'x', 'a b', 'value'],
}

type Pools = { readonly [K in keyof typeof COMMON]: readonly string[] }

/** Requests near to what the policies ask: most values are theirs, or those a little changed. */
export class RequestGenerator {
  readonly #random: Random
  readonly #pools: Pools
  readonly #headerNames: readonly string[]

  constructor(policies: readonly AuthorizationPolicy[], random: Random) {
    this.#random = random
    const texts = [...new Set(policies.flatMap(({ spec }) => textsIn(spec)))]
    const identities = texts
      .map((text) => /^([^/]*)\/ns\/([^/]*)\/sa\/([^/]*)$/.exec(text))
      .filter((found) => found !== null)
    const pool = (common: readonly string[], found: readonly string[]) => [...common, ...found]
    this.#pools = {
      trustDomain: pool(
        COMMON.trustDomain,
        identities.map(([, trustDomain = '']) => trustDomain),
      ),
      namespace: pool(COMMON.namespace, [...identities.map(([, , ns = '']) => ns), ...texts.filter(isName)]),
      serviceAccount: pool(COMMON.serviceAccount, [
        ...identities.map(([, , , sa = '']) => sa),
        ...texts.filter(isName),
      ]),
      ip: pool(
        COMMON.ip,
        texts.filter((text) => /^[\d.:a-f]+(\/\d+)?$/.test(text) && /[.:]/.test(text)).map(addressIn),
      ),
      port: pool(
        COMMON.port,
        texts.filter((text) => /^\d+$/.test(text)),
      ),
      host: pool(COMMON.host, texts),
      method: pool(COMMON.method, texts.filter(isName)),
      path: pool(
        COMMON.path,
        texts.filter((text) => text.includes('/') || text === '*'),
      ),
      text: pool(COMMON.text, texts),
    }
    const inBrackets = texts.flatMap((text) => /^request\.headers\[(.*)\]$/.exec(text)?.[1] ?? [])
    this.#headerNames = inBrackets.map((name) => name.toLowerCase())
  }

  next(): GeneratedRequest {
    const headers = Object.fromEntries(
      this.#headerNames.flatMap((name) => (this.#chance(2) ? [[name, this.#near('text')]] : [])),
    )
    return {
      identity: this.#chance(6)
        ? undefined
        : {
            trustDomain: this.#part('trustDomain'),
            namespace: this.#part('namespace'),
            serviceAccount: this.#part('serviceAccount'),
          },
      sourceIp: this.#pick('ip'),
      remoteIp: this.#pick('ip'),
      destinationIp: this.#pick('ip'),
      destinationPort: Number(this.#pick('port')),
      serverName: this.#chance(3) ? '' : this.#near('host'),
      method: this.#pick('method'),
      authority: this.#chance(3) ? this.#near('host').toUpperCase() : this.#near('host'),
      path: `${this.#near('path')}${this.#chance(4) ? '?query=/exact#x' : ''}`,
      headers,
      jwt: this.#chance(3) ? undefined : this.#jwt(),
      metadata: this.#chance(2) ? {} : { 'envoy.filters.a.b': { c: this.#claim() } },
    }
  }

  #jwt(): Readonly<Record<string, unknown>> {
    const claims = ['iss', 'sub', 'aud', 'azp', 'groups'].flatMap((name) =>
      this.#chance(5) ? [] : [[name, this.#claim()] as const],
    )
    return Object.fromEntries(claims)
  }

  #claim(): unknown {
    if (this.#chance(5)) return this.#random.pick([1, true, {}, ['x', 1]])
    return this.#chance(3) ? [this.#near('text'), this.#near('text')] : this.#near('text')
  }

  /** A value, sometimes longer at either end, and a template or pattern filled in. */
  #near(pool: keyof Pools): string {
    const filled = this.#pick(pool)
      .replaceAll('{**}', () => this.#random.pick(['', 'x', 'x/y', 'x/"/y']))
      .replaceAll('{*}', () => this.#random.pick(['x', 'x.y', '', 'x/y']))
      .replaceAll('*', () => this.#random.pick(['', 'x', '*']))
    return this.#chance(6) ? this.#random.pick([`${filled}x`, `x${filled}`, `/x${filled}`, `${filled}/`]) : filled
  }

  /** Of an identity: no slash, not empty. */
  #part(pool: keyof Pools): string {
    return this.#near(pool).replaceAll('/', '') || 'x'
  }

  #pick(pool: keyof Pools): string {
    return this.#random.pick(this.#pools[pool])
  }

  #chance(oneIn: number): boolean {
    return this.#random.integer(oneIn) === 0
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

function isName(text: string): boolean {
  return !text.includes('/') && !/^\d/.test(text)
}

function addressIn(cidr: string): string {
  return cidr.split('/')[0]!
}
