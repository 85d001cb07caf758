import { createHmac } from 'node:crypto'
import { SeededRandom } from '@ambient-lab/std'
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { type JwkSet, parseJwkSet } from './jwk-set.ts'
import { checkValidity, type Jwt, parseJwt, verifySignature } from './jwt.ts'
import type { JwtFailure } from './jwt-failure.ts'
import { JWT_CLOCK_SKEW_SECONDS, JWT_TEXT_MAX } from './limits.ts'
import { VerifiedTokens } from './verified-tokens.ts'

const SECRET = Buffer.alloc(32, 7)
const KEYS = keySet({ kty: 'oct', kid: 'k', k: SECRET.toString('base64url') })

function keySet(...keys: readonly object[]): JwkSet {
  const set = parseJwkSet(JSON.stringify({ keys }))
  if (typeof set === 'string') throw new Error(set)
  return set
}

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function token(payload: unknown, header: unknown = { alg: 'HS256', kid: 'k' }): string {
  const signed = `${part(header)}.${part(payload)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

function parsed(text: string): Jwt {
  const jwt = parseJwt(text)
  if (typeof jwt === 'string') throw new Error(jwt)
  return jwt
}

describe('parseJwt', () => {
  const good = token({ iss: 'i' })
  const [header = '', payload = '', signature = ''] = good.split('.')

  it.each<[string, JwtFailure]>([
    ['', 'JwtBadFormat'],
    ['a.b', 'JwtBadFormat'],
    [`${good}.`, 'JwtBadFormat'],
    [`${header}..${signature}`, 'JwtBadFormat'],
    [`.${payload}.${signature}`, 'JwtBadFormat'],
    [`${header}.${payload}.`, 'JwtBadFormat'],
    ['x'.repeat(JWT_TEXT_MAX + 1), 'JwtBadFormat'],
    [`${header}=.${payload}.${signature}`, 'JwtHeaderParseErrorBadBase64'],
    [`${header}.${payload} .${signature}`, 'JwtPayloadParseErrorBadBase64'],
    [`${header}.${payload}.${signature}+`, 'JwtSignatureParseErrorBadBase64'],
    [`${part('{')}.${payload}.${signature}`, 'JwtHeaderParseErrorBadJson'],
    [`${part('[]')}.${payload}.${signature}`, 'JwtHeaderParseErrorBadJson'],
    [`${part({})}.${payload}.${signature}`, 'JwtHeaderBadAlg'],
    [`${part({ alg: 1 })}.${payload}.${signature}`, 'JwtHeaderBadAlg'],
    [`${part({ alg: 'none' })}.${payload}.${signature}`, 'JwtHeaderNotImplementedAlg'],
    [`${part({ alg: 'toString' })}.${payload}.${signature}`, 'JwtHeaderNotImplementedAlg'],
    [`${part({ alg: 'HS256', kid: 1 })}.${payload}.${signature}`, 'JwtHeaderBadKid'],
    [`${part({ alg: 'HS256', crit: ['exp'] })}.${payload}.${signature}`, 'JwtVerificationFail'],
    [token('no JSON'), 'JwtPayloadParseErrorBadJson'],
    [token('"text"'), 'JwtPayloadParseErrorBadJson'],
    [token({ iss: 1 }), 'JwtPayloadParseErrorIssNotString'],
    [token({ sub: [] }), 'JwtPayloadParseErrorSubNotString'],
    [token({ iat: '1' }), 'JwtPayloadParseErrorIatNotInteger'],
    [token({ iat: -1 }), 'JwtPayloadParseErrorIatOutOfRange'],
    [token({ nbf: true }), 'JwtPayloadParseErrorNbfNotInteger'],
    [token({ nbf: 1e30 }), 'JwtPayloadParseErrorNbfOutOfRange'],
    [token({ exp: {} }), 'JwtPayloadParseErrorExpNotInteger'],
    [token({ exp: -1 }), 'JwtPayloadParseErrorExpOutOfRange'],
    [token({ jti: 1 }), 'JwtPayloadParseErrorJtiNotString'],
    [token({ aud: 1 }), 'JwtPayloadParseErrorAudNotString'],
    [token({ aud: ['a', 1] }), 'JwtPayloadParseErrorAudNotString'],
  ])('%#: %s is refused with %s', (text, failure) => {
    expect(parseJwt(text)).toBe(failure)
  })

  it('reads what it needs', () => {
    const jwt = parsed(token({ iss: 'i', aud: ['a', 'b'], nbf: 1, exp: 0, x: { y: 1 } }))
    expect(jwt).toMatchObject({ algorithm: 'HS256', keyId: 'k', issuer: 'i', audiences: ['a', 'b'], notBefore: 1 })
    expect(jwt.expires).toBeUndefined()
    expect(parsed(token({ aud: 'a' })).audiences).toEqual(['a'])
  })

  it('survives whatever is sent', () => {
    const random = new SeededRandom(5)
    for (let round = 0; round < 20_000; round += 1) {
      const at = random.integer(good.length)
      const text = `${good.slice(0, at)}${String.fromCharCode(random.integer(256))}${good.slice(at + random.integer(3))}`
      const jwt = parseJwt(text)
      if (typeof jwt !== 'string' && text !== good) expect(verifySignature(jwt, KEYS)).not.toBeUndefined()
    }
  })

  it('reads nesting as deep as a token can have', () => {
    const depth = JWT_TEXT_MAX / 8
    expect(typeof parseJwt(token(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`))).toBe('object')
  })
})

describe('checkValidity', () => {
  const jwt = parsed(token({ nbf: 1000, exp: 2000 }))

  it.each([
    [1000 - JWT_CLOCK_SKEW_SECONDS - 1, 'JwtNotYetValid'],
    [1000 - JWT_CLOCK_SKEW_SECONDS, undefined],
    [2000 + JWT_CLOCK_SKEW_SECONDS, undefined],
    [2000 + JWT_CLOCK_SKEW_SECONDS + 1, 'JwtExpired'],
  ])('at %i: %s', (now, failure) => {
    expect(checkValidity(jwt, now, JWT_CLOCK_SKEW_SECONDS)).toBe(failure)
  })

  it('holds always without dates', () => {
    expect(checkValidity(parsed(token({})), 1e12, 0)).toBeUndefined()
  })
})

describe('verifySignature', () => {
  const other = { kty: 'oct', kid: 'other', k: Buffer.alloc(32, 8).toString('base64url') }

  it('tells a wrong signature from a key that is not there', () => {
    const jwt = parsed(token({}))
    expect(verifySignature(jwt, KEYS)).toBeUndefined()
    expect(verifySignature(jwt, keySet(other))).toBe('JwksKidAlgMismatch')
    expect(verifySignature(jwt, keySet({ ...other, kid: 'k' }))).toBe('JwtVerificationFail')
    expect(verifySignature(jwt, keySet({ ...other, kid: undefined }))).toBe('JwtVerificationFail')
  })

  it('tries every key for a token that names none', () => {
    const jwt = parsed(token({}, { alg: 'HS256' }))
    expect(
      verifySignature(jwt, keySet(other, { kty: 'oct', kid: 'k', k: SECRET.toString('base64url') })),
    ).toBeUndefined()
  })

  it('takes a public key for nothing but its own algorithms', async () => {
    const { publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    // The attack: the public key's text as the secret of an HMAC.
    expect(verifySignature(parsed(token({})), keySet({ ...jwk, kid: 'k' }))).toBe('JwksKidAlgMismatch')
  })

  describe.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    '%s',
    (alg) => {
      let text: string
      let publicKey: CryptoKey
      let keys: JwkSet

      beforeAll(async () => {
        const pair = await generateKeyPair(alg, { extractable: true })
        publicKey = pair.publicKey
        text = await new SignJWT({ iss: 'i' }).setProtectedHeader({ alg, kid: 'k' }).sign(pair.privateKey)
        keys = keySet({ ...(await exportJWK(publicKey)), kid: 'k' })
      })

      it('agrees with jose on a token and on damaged ones', async () => {
        const random = new SeededRandom(9)
        for (const damage of [undefined, 1, 2, 3, 4]) {
          const at = text.lastIndexOf('.') + 1 + random.integer(20)
          const sent = damage ? `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}` : text
          const accepted = await jwtVerify(sent, publicKey).then(
            () => true,
            () => false,
          )
          expect(verifySignature(parsed(sent), keys) === undefined).toBe(accepted)
          expect(accepted).toBe(damage === undefined)
        }
      })
    },
  )
})

describe('parseJwkSet', () => {
  it.each([
    ['{', 'JwksParseError'],
    ['[]', 'JwksParseError'],
    ['{}', 'JwksNoKeys'],
    ['{"keys":{}}', 'JwksBadKeys'],
    ['{"keys":[]}', 'JwksNoValidKeys'],
    ['{"keys":[1,null,{"kty":"RSA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"x"}]}', 'JwksNoValidKeys'],
    [`{"keys":[{"kty":"oct","k":"${'A'.repeat(40)}"}]}`, 'JwksNoValidKeys'],
    [`{"keys":[{"kty":"oct","k":"${'A'.repeat(64)}","use":"enc"}]}`, 'JwksNoValidKeys'],
    [`{"keys":[{"kty":"oct","k":"${'A'.repeat(64)}","key_ops":["sign"]}]}`, 'JwksNoValidKeys'],
    [`{"keys":[{"kty":"oct","k":"${'A'.repeat(64)}","alg":"RS256"}]}`, 'JwksNoValidKeys'],
  ])('%s: %s', (text, failure) => {
    expect(parseJwkSet(text)).toBe(failure)
  })

  it('survives whatever a server answers', () => {
    const random = new SeededRandom(6)
    const good = JSON.stringify({ keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', use: 'sig', key_ops: ['verify'] }] })
    for (let round = 0; round < 5000; round += 1) {
      const at = random.integer(good.length)
      parseJwkSet(
        `${good.slice(0, at)}${random.pick(['{', '"', '1', 'null', '[]', ','])}${good.slice(at + random.integer(9))}`,
      )
    }
  })

  it('keeps the keys that are good', () => {
    const good = { kty: 'oct', kid: 'k', k: SECRET.toString('base64url') }
    expect(keySet({ kty: 'RSA' }, good, { kty: 'EC' }).keys).toMatchObject([{ id: 'k' }])
    expect([...keySet(good).keys[0]!.algorithms]).toEqual(['HS256'])
  })
})

describe('VerifiedTokens', () => {
  const text = token({ iss: 'i' })
  const tokenIn = (tokens: VerifiedTokens, of: string) => {
    const found = tokens.parse(of)
    if (typeof found === 'string') throw new Error(found)
    return found
  }

  it('verifies a token once, and again by other keys', () => {
    const tokens = new VerifiedTokens(2)
    expect(tokenIn(tokens, text).verifiedBy).toBeUndefined()
    expect(tokens.verify(tokenIn(tokens, text), KEYS)).toBeUndefined()
    expect(tokenIn(tokens, text).verifiedBy).toBe(KEYS)
    const rotated = keySet({ kty: 'oct', kid: 'k', k: Buffer.alloc(32, 8).toString('base64url') })
    expect(tokens.verify(tokenIn(tokens, text), rotated)).toBe('JwtVerificationFail')
    expect(tokenIn(tokens, text).verifiedBy).toBeUndefined()
  })

  it('keeps none that is not valid, and a bounded number of those that are', () => {
    const tokens = new VerifiedTokens(2)
    expect(tokens.verify(tokenIn(tokens, `${text.slice(0, -4)}AAAA`), KEYS)).toBe('JwtVerificationFail')
    expect(tokens.size).toBe(0)
    for (const sub of ['a', 'b', 'c']) tokens.verify(tokenIn(tokens, token({ sub })), KEYS)
    expect(tokens.size).toBe(2)
    tokens.forget(tokenIn(tokens, token({ sub: 'c' })))
    expect(tokens.size).toBe(1)
  })
})
