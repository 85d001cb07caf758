import { createHmac } from 'node:crypto'
import { type JwkSetLocation, type JwkSetResult, parseJwkSet } from '@ambient-lab/pki'
import { describe, expect, it } from 'vitest'
import { JwtAuthenticator, type TokenRequest } from './jwt-authenticator.ts'
import type { JwtProvider, JwtRefused, JwtVerdict } from './jwt-requirement.ts'

const NOW = 1_000_000
const SECRET = Buffer.alloc(32, 7)
const JWKS = JSON.stringify({ keys: [{ kty: 'oct', k: SECRET.toString('base64url') }] })

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function sign(payload: Readonly<Record<string, unknown>>, secret = SECRET): string {
  const signed = `${part({ alg: 'HS256' })}.${part(payload)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function provider(issuer: string, more: Partial<JwtProvider> = {}): JwtProvider {
  return {
    name: issuer,
    issuer,
    audiences: [],
    keys: { inline: JWKS },
    keysTimeoutMs: 5000,
    from: { headers: [], params: [], cookies: [] },
    forwardOriginalToken: false,
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
    ...more,
  }
}

function request(headers: Readonly<Record<string, string>> = {}, path = '/p', method = 'GET'): TokenRequest {
  return { scheme: 'http', method, authority: 'host', path, header: (name) => headers[name] }
}

const bearer = (text: string, path?: string) => request({ authorization: `Bearer ${text}` }, path)

/** Verdicts that are made at once: keys are at hand. */
function decide(providers: readonly JwtProvider[], asked: TokenRequest): JwtVerdict {
  const keysAt = (location: JwkSetLocation) => parseJwkSet('inline' in location ? location.inline : '')
  const verdict = new JwtAuthenticator({ providers }, { keysAt }).authenticate(asked, NOW)
  if (verdict instanceof Promise) throw new Error('not at once')
  return verdict
}

const good = sign({ iss: 'a', sub: 's', exp: NOW + 100 })
const a = provider('a')

describe('JwtAuthenticator', () => {
  it('lets a request without token pass, with no claims, and without headers that only a token fills', () => {
    const output = provider('a', {
      outputPayloadToHeader: 'X-Payload',
      outputClaimToHeaders: [{ header: 'X-Sub', claim: 'sub' }],
    })
    expect(decide([output], request({ authorization: 'Basic eDp5' }))).toEqual({
      accepted: true,
      payload: undefined,
      removeHeaders: ['x-payload', 'x-sub'],
      addHeaders: [],
      removeParams: [],
    })
  })

  it('accepts a token, takes it out, and tells its claims', () => {
    expect(decide([a], bearer(good))).toMatchObject({
      accepted: true,
      payload: { iss: 'a', sub: 's' },
      removeHeaders: ['authorization'],
    })
    expect(decide([provider('a', { forwardOriginalToken: true })], bearer(good))).toMatchObject({ removeHeaders: [] })
  })

  it.each<[what: string, token: string, status: number, body: string]>([
    ['no token at all', 'xyz', 401, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'],
    ['an expired one', sign({ iss: 'a', exp: NOW - 61 }), 401, 'Jwt is expired'],
    ['one that is not valid yet', sign({ iss: 'a', nbf: NOW + 61 }), 401, 'Jwt not yet valid'],
    ['one of somebody else', sign({ iss: 'b' }), 401, 'Jwt issuer is not configured'],
    ['one of nobody', sign({ sub: 's' }), 401, 'Jwt issuer is not configured'],
    ['a forged one', sign({ iss: 'a' }, Buffer.alloc(32, 8)), 401, 'Jwt verification fails'],
  ])('refuses %s', (_, token, status, body) => {
    expect(decide([a], bearer(token, '/p?q=1'))).toEqual({
      accepted: false,
      status,
      body,
      details: `jwt_authn_access_denied{${body.replaceAll(' ', '_')}}`,
      wwwAuthenticate: 'Bearer realm="http://host/p?q=1", error="invalid_token"',
    })
  })

  it('forgives a minute of difference between clocks', () => {
    expect(decide([a], bearer(sign({ iss: 'a', exp: NOW - 60, nbf: NOW + 60 }))).accepted).toBe(true)
  })

  it.each([
    [undefined, false],
    ['other', false],
    ['api', true],
    [['x', 'api'], true],
    ['https://api/', true],
  ])('with audience %j: %s', (aud, accepted) => {
    const verdict = decide([provider('a', { audiences: ['http://api'] })], bearer(sign({ iss: 'a', aud })))
    expect(verdict.accepted).toBe(accepted)
    if (!verdict.accepted) expect([verdict.status, verdict.body]).toEqual([403, 'Audiences in Jwt are not allowed'])
  })

  describe('with several providers', () => {
    const providers = [provider('a', { audiences: ['x'] }), provider('b')]

    it('accepts what any of them accepts', () => {
      expect(decide(providers, bearer(sign({ iss: 'b', sub: 't' })))).toMatchObject({ payload: { sub: 't' } })
    })

    it('refuses with the word of the one whose token it is', () => {
      const bodyOf = (text: string) => (decide(providers, bearer(text)) as JwtRefused).body
      expect(bodyOf(sign({ iss: 'a' }))).toBe('Audiences in Jwt are not allowed')
      expect(bodyOf(sign({ iss: 'b', exp: 1 }))).toBe('Jwt is expired')
      expect(bodyOf(sign({ iss: 'c' }))).toBe('Jwt issuer is not configured')
    })
  })

  describe('finds a token', () => {
    const from = { headers: [{ name: 'X-Token', prefix: 'Value ' }], params: ['t', 'u'], cookies: ['c'] }
    const custom = provider('a', { from })

    it.each<[string, JwtProvider, TokenRequest, boolean]>([
      ['in a header', custom, request({ 'x-token': `Value ${good}` }), true],
      ['behind the prefix, wherever that is', custom, request({ 'x-token': `Old x, Value ${good}` }), true],
      ['not without the prefix', custom, request({ 'x-token': good }), false],
      ['not where it does not look', custom, bearer(good), false],
      ['in a parameter', custom, request({}, `/p?x=1&u=${good}#f`), true],
      ['not in a path', custom, request({}, `/p/t=${good}`), false],
      ['in a cookie', custom, request({ cookie: `x=1; c="${good}"` }), true],
      ['not in a cookie of another name', custom, request({ cookie: `cc=${good}` }), false],
      ['by default in access_token', a, request({}, `/p?access_token=${good}`), true],
    ])('%s', (_, where, asked, found) => {
      const verdict = decide([where], asked)
      expect(verdict.accepted && verdict.payload !== undefined).toBe(found)
    })

    it('and takes a parameter out of the path', () => {
      expect(decide([custom], request({}, `/p?t=${good}`))).toMatchObject({ removeParams: ['t'], removeHeaders: [] })
    })

    it('and wants all of them to be valid', () => {
      const both = (first: string, second: string) =>
        decide([custom], request({}, `/p?t=${first}&u=${second}`)).accepted
      expect([both(good, good), both(good, 'x.y.z'), both('x.y.z', good)]).toEqual([true, false, false])
    })
  })

  it('writes claims and payload into headers', () => {
    const output = provider('a', {
      outputPayloadToHeader: 'X-Payload',
      outputClaimToHeaders: [
        ...[
          { header: 'X-Sub', claim: 'sub' },
          { header: 'X-Deep', claim: 'n.m' },
          { header: 'X-List', claim: 'l' },
        ],
        ...[
          { header: 'X-Num', claim: 'i' },
          { header: 'X-Real', claim: 'r' },
          { header: 'X-Bool', claim: 'b' },
        ],
        ...[
          { header: 'X-Bad', claim: 'bad' },
          { header: 'X-None', claim: 'constructor.name' },
        ],
      ],
    })
    const payload = { iss: 'a', sub: 's', n: { m: 'deep' }, l: ['x'], i: 12, r: 1.5, b: true, bad: 'x\r\ny: z' }
    expect(decide([output], bearer(sign(payload)))).toMatchObject({
      addHeaders: [
        ['x-payload', part(payload)],
        ['x-sub', 's'],
        ['x-deep', 'deep'],
        ['x-num', '12'],
        ['x-real', '1.500000'],
        ['x-bool', 'true'],
      ],
    })
  })

  it('makes lists of space-delimited claims', () => {
    const output = provider('a', { spaceDelimitedClaims: ['roles'] })
    const payload = { iss: 'a', scope: 'read  write', permission: 'all', roles: 'x y', other: 'x y' }
    expect(decide([output], bearer(sign(payload)))).toMatchObject({
      payload: { scope: ['read', 'write'], permission: ['all'], roles: ['x', 'y'], other: 'x y' },
    })
  })

  it('leaves the question alone that a browser asks beforehand', () => {
    const headers = { authorization: 'Bearer x', origin: 'https://a', 'access-control-request-method': 'POST' }
    expect(decide([a], request(headers, '/', 'OPTIONS')).accepted).toBe(true)
    expect(decide([a], request({ ...headers, origin: '' }, '/', 'OPTIONS')).accepted).toBe(false)
  })

  it('waits for keys that are not at hand, and goes on to the next provider', async () => {
    const remote = provider('a', { keys: { uri: 'https://keys' } })
    const inline = parseJwkSet(JWKS)
    const decideWith = (answer: JwkSetResult, providers: readonly JwtProvider[]) => {
      const keysAt = (location: JwkSetLocation) => ('uri' in location ? Promise.resolve(answer) : inline)
      return new JwtAuthenticator({ providers }, { keysAt }).authenticate(bearer(good), NOW)
    }
    expect(await decideWith(inline, [remote])).toMatchObject({ accepted: true, payload: { sub: 's' } })
    expect(await decideWith('JwksFetchFail', [remote])).toMatchObject({ body: 'Jwks remote fetch is failed' })
    expect(await decideWith('JwksFetchFail', [remote, a])).toMatchObject({ accepted: true })
  })

  it.each<[string, object]>([
    ['keys', { keys: {} }],
    ['keys', { keys: { inline: '', uri: '' } }],
    ['keysTimeoutMs', { keysTimeoutMs: '5s' }],
    ['from', { from: {} }],
    ['from.headers', { from: { headers: [{ name: 'a' }], params: [], cookies: [] } }],
    ['audiences', { audiences: [1] }],
    ['issuer', { issuer: undefined }],
    ['outputClaimToHeaders', { outputClaimToHeaders: [{ header: 'a' }] }],
  ])('refuses a provider whose %s is not as documented', (field, broken) => {
    const providers = [{ ...a, ...broken } as JwtProvider]
    const keysAt = () => 'JwksFetchFail' as const
    expect(() => new JwtAuthenticator({ providers }, { keysAt })).toThrow(`${field} is not valid`)
  })
})
