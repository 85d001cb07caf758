import { generateKeyPairSync, sign } from 'node:crypto'

export const TOKEN_ISSUER = 'https://bench.example'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEY_ID = 'bench'
const DAY_SECONDS = 86_400

/** A JWK set with the one key. */
export const TOKEN_KEYS = JSON.stringify({
  keys: [{ ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, alg: 'RS256', use: 'sig' }],
})

/** Valid for as long as a bench takes. */
export const TOKEN = makeToken()

function makeToken(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + DAY_SECONDS
  const signed = `${part({ alg: 'RS256', kid: KEY_ID })}.${part({ iss: TOKEN_ISSUER, sub: 'somebody', exp })}`
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`
}
