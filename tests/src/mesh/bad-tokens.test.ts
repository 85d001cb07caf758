import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const URL_GET = 'http://httpbin:8000/get'
const INLINE = 'inline'
/** Of fetching keys; no request may take much longer. */
const TIMEOUT = '1s'
const NO_HANG_MS = 8_000
const BIG_BYTES = 10_000_000

interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly key: KeyObject
  readonly jwk: object
}

function signingKey(kid: string, alg: 'RS256' | 'ES256' | 'EdDSA'): SigningKey {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519')
  return { kid, alg, key: privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } }
}

const rsa = signingKey('rsa', 'RS256')
const ec = signingKey('ec', 'ES256')
const ed = signingKey('ed', 'EdDSA')
const stranger = signingKey('stranger', 'RS256')
const setOf = (...keys: readonly SigningKey[]) => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const nowSeconds = () => Math.floor(Date.now() / 1000)

interface TokenParts {
  readonly header?: unknown
  readonly claims?: Readonly<Record<string, unknown>>
  readonly payload?: unknown
  readonly key?: SigningKey
}

/** A good token of the inline issuer, but for what is given. */
function token({ key = rsa, claims, header = { alg: key.alg, kid: key.kid }, payload }: TokenParts = {}): string {
  const said = payload ?? { iss: INLINE, sub: 'alice', aud: 'httpbin', exp: nowSeconds() + 600, ...claims }
  const signed = `${part(header)}.${part(said)}`
  const hash = key.alg === 'EdDSA' ? null : 'sha256'
  const signature = sign(hash, Buffer.from(signed), { key: key.key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

/** The places where issuers keep their keys; they listen on this machine, and are pods of the lab. */
class KeyServer implements AsyncDisposable {
  rotating = setOf(rsa)
  /** Requests for each path. */
  readonly asked = new Map<string, number>()
  bigWasRead = false
  readonly #server: Server = createServer((request, response) => {
    const path = request.url ?? ''
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1)
    switch (path) {
      case '/rotating':
        return void response.end(this.rotating)
      case '/garbage':
        return void response.end('<html>not a key in sight</html>')
      case '/slow':
        return // and never answers
      case '/big':
        response.on('finish', () => {
          this.bigWasRead = true
        })
        return void response.end(JSON.stringify({ keys: [rsa.jwk], padding: 'x'.repeat(BIG_BYTES) }))
      default:
        return void response.writeHead(503).end('down')
    }
  })

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

const KEYS_OF = ['rotating', 'garbage', 'slow', 'big', 'down'] as const
const world = (port: number) => `
apiVersion: v1
kind: Pod
metadata: {name: keys, namespace: default, labels: {app: keys}, annotations: {ambient.lab/endpoint: "127.0.0.1:${port}"}}
spec: {containers: [{name: keys, image: keys, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: keys, namespace: default}
spec: {selector: {app: keys}, ports: [{name: http, port: 80}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec:
  targetRefs: [{kind: Service, group: "", name: httpbin}]
  jwtRules:
    - {issuer: ${INLINE}, audiences: [httpbin], jwks: '${setOf(rsa, ec, ed)}'}
    - {issuer: nowhere, jwksUri: "http://127.0.0.1:1/keys", timeout: ${TIMEOUT}}
${KEYS_OF.map((name) => `    - {issuer: ${name}, jwksUri: "http://keys/${name}", timeout: ${TIMEOUT}}`).join('\n')}
`

let lab: AmbientLab
let keys: KeyServer

beforeAll(async () => {
  lab = new AmbientLab()
  keys = new KeyServer()
  await lab.ok('up', '--wait')
  await lab.ok('label', 'ns', 'default', 'istio.io/dataplane-mode=ambient')
  const files = ['httpbin', 'bookinfo/curl.yaml', 'end-users/waypoint.yaml'].flatMap((name) => [
    '-f',
    `${EXAMPLES}/${name}`,
  ])
  await lab.ok('apply', ...files)
  const applied = await lab.run(['apply', '-f', '-'], { input: world(await keys.listen()) })
  expect(applied.code, applied.stderr).toBe(0)
  await lab.ok('label', 'svc/httpbin', 'istio.io/use-waypoint=waypoint')
  await eventually(async () => (await call('nonsense')).status === '401', { timeoutMs: 20_000 })
})

afterAll(async () => {
  await lab[Symbol.asyncDispose]()
  await keys[Symbol.asyncDispose]()
})

async function call(bearer: string): Promise<{ status: string; body: string; challenge: string }> {
  const format = '\\n%{http_code} %header{www-authenticate}'
  const curl = ['curl', '-s', '--max-time', '10', '-H', `Authorization: Bearer ${bearer}`, '-w', format, URL_GET]
  const { stdout } = await lab.run(['exec', 'deploy/curl', '--', ...curl])
  const end = stdout.lastIndexOf('\n')
  const [status = '', ...challenge] = stdout.slice(end + 1).split(' ')
  return { status, body: stdout.slice(0, end), challenge: challenge.join(' ') }
}

describe('a token', () => {
  test.each([
    ['RS256', rsa],
    ['ES256', ec],
    ['EdDSA', ed],
  ])('of %s passes', async (_, key) => {
    expect(await call(token({ key }))).toMatchObject({ status: '200', challenge: '' })
  })

  const FORM = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
  test.each<[string, () => string, string]>([
    ['that is expired', () => token({ claims: { exp: nowSeconds() - 120 } }), 'Jwt is expired'],
    ['of tomorrow', () => token({ claims: { nbf: nowSeconds() + 86_400 } }), 'Jwt not yet valid'],
    ['of nobody we know', () => token({ claims: { iss: 'somebody' } }), 'Jwt issuer is not configured'],
    [
      'signed by another',
      () => token({ header: { alg: 'RS256', kid: 'rsa' }, key: stranger }),
      'Jwt verification fails',
    ],
    ['of two parts', () => 'a.b', FORM],
    ['of four parts', () => `${token()}.x`, FORM],
    [
      'with a header that is no Base64url',
      () => `a.${token().split('.').slice(1).join('.')}`,
      'Jwt header is an invalid Base64url encoded',
    ],
    ['with a header that is no JSON', () => token({ header: '{' }), 'Jwt header is an invalid JSON'],
    // One character of Base64url is no whole byte; others than its alphabet end a token, as at Envoy.
    [
      'with a payload that is no Base64url',
      () => token().replace(/\..*\./, '.a.'),
      'Jwt payload is an invalid Base64url encoded',
    ],
    ['with a payload that is no JSON', () => token({ payload: '{' }), 'Jwt payload is an invalid JSON'],
    [
      'with a signature that is no Base64url',
      () => `${token().split('.').slice(0, 2).join('.')}.a`,
      'Jwt signature is an invalid Base64url encoded',
    ],
    [
      'without algorithm',
      () => token({ header: { kid: 'rsa' } }),
      'Jwt header [alg] field is required and must be a string',
    ],
    ['of algorithm none', () => token({ header: { alg: 'none' } }), 'Jwt header [alg] is not supported'],
    [
      'of a key that is not there',
      () => token({ header: { alg: 'RS256', kid: 'gone' } }),
      "Jwks doesn't have key to match kid or alg from Jwt",
    ],
    [
      'whose issuer’s keys cannot be reached',
      () => token({ claims: { iss: 'nowhere' } }),
      'Jwks remote fetch is failed',
    ],
    ['whose issuer answers 503', () => token({ claims: { iss: 'down' } }), 'Jwks remote fetch is failed'],
    ['whose issuer answers garbage', () => token({ claims: { iss: 'garbage' } }), 'Jwks remote fetch is failed'],
    ['whose issuer never answers', () => token({ claims: { iss: 'slow' } }), 'Jwks remote fetch is failed'],
    ['whose issuer answers 10 MB', () => token({ claims: { iss: 'big' } }), 'Jwks remote fetch is failed'],
  ])('%s is 401, and says why', async (_, make, body) => {
    const startMs = performance.now()
    expect(await call(make())).toEqual({
      ...{ status: '401', body },
      challenge: `Bearer realm="${URL_GET}", error="invalid_token"`,
    })
    expect(performance.now() - startMs).toBeLessThan(NO_HANG_MS)
  })

  test('for another audience is 403', async () => {
    expect(await call(token({ claims: { aud: 'other' } }))).toMatchObject({
      status: '403',
      body: 'Audiences in Jwt are not allowed',
    })
  })
})

describe('keys', () => {
  test('of 10 MB are not read to their end', () => {
    expect(keys.asked.get('/big')).toBe(1)
    expect(keys.bigWasRead).toBe(false)
  })

  test('that are rotated: those at hand serve until they are old, and are fetched once', async () => {
    const old = token({ claims: { iss: 'rotating' } })
    expect(await call(old)).toMatchObject({ status: '200' })
    const next = signingKey('next', 'RS256')
    keys.rotating = setOf(next)
    expect(await call(token({ claims: { iss: 'rotating', sub: 'bob' } }))).toMatchObject({ status: '200' })
    expect(await call(token({ claims: { iss: 'rotating' }, key: next }))).toMatchObject({
      status: '401',
      body: "Jwks doesn't have key to match kid or alg from Jwt",
    })
    expect(keys.asked.get('/rotating')).toBe(1)
  })

  test('that fail for all at once are asked for together, and nobody waits longer than one fetch', async () => {
    await eventually(async () => (await call(token({ claims: { iss: 'slow' } }))).status === '401', {
      timeoutMs: 10_000,
    })
    const before = keys.asked.get('/slow') ?? 0
    const startMs = performance.now()
    const calls = Array.from({ length: 8 }, (_, index) => call(token({ claims: { iss: 'slow', sub: `u${index}` } })))
    for (const { status } of await Promise.all(calls)) expect(status).toBe('401')
    expect(performance.now() - startMs).toBeLessThan(NO_HANG_MS)
    expect((keys.asked.get('/slow') ?? 0) - before).toBeLessThan(8)
  })
})
