import { createPublicKey, verify, type webcrypto } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppBench } from '../test-kit/app-bench.ts'
import { TEST_TOKEN_GRANT } from './_oidc-issuer.ts'

let bench: AppBench
let app: Awaited<ReturnType<AppBench['run']>>
beforeEach(async () => {
  bench = new AppBench()
  app = await bench.run('oidc', 'ambient-lab/oidc-provider:1', { env: { ISSUER: 'http://oidc.default' } })
})
afterEach(() => bench[Symbol.asyncDispose]())

interface Jwks {
  readonly keys: readonly (webcrypto.JsonWebKey & { readonly kid: string })[]
}

const jwks = async () => (await (await app.fetch('/jwks')).json()) as Jwks

async function token(parameters: Record<string, string>, secret = 'lab'): Promise<{ status: number; token?: string }> {
  const response = await app.fetch('/token', {
    method: 'POST',
    headers: {
      authorization: `Basic ${btoa(`lab:${secret}`)}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(parameters).toString(),
  })
  const { access_token } = (await response.json()) as { access_token?: string }
  return { status: response.status, ...(access_token !== undefined && { token: access_token }) }
}

function payloadOf(text: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(text.split('.')[1]!, 'base64url').toString())
}

async function isSignedByPublished(text: string): Promise<boolean> {
  const [header = '', payload = '', signature = ''] = text.split('.')
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
  const key = (await jwks()).keys.find((one) => one.kid === kid)
  if (!key) return false
  const signed = Buffer.from(`${header}.${payload}`)
  return verify('sha256', signed, createPublicKey({ key, format: 'jwk' }), Buffer.from(signature, 'base64url'))
}

describe('oidc-provider', () => {
  test('answers discovery for its issuer, and publishes no private key', async () => {
    const discovery = await (await app.fetch('/.well-known/openid-configuration')).json()
    expect(discovery).toMatchObject({ issuer: 'http://oidc.default', jwks_uri: expect.stringMatching(/\/jwks$/) })
    const { keys } = await jwks()
    expect(keys).toMatchObject([{ kty: 'RSA', alg: 'RS256', use: 'sig' }])
    expect(Object.keys(keys[0]!)).not.toContain('d')
  })

  test('gives a client a token of its own', async () => {
    const answer = await token({ grant_type: 'client_credentials', scope: 'read' })
    expect(payloadOf(answer.token!)).toMatchObject({
      iss: 'http://oidc.default',
      sub: 'lab',
      aud: 'ambient-lab',
      scope: 'read',
    })
    expect(await isSignedByPublished(answer.token!)).toBe(true)
  })

  test('gives a token about anybody, with any claims', async () => {
    const claims = JSON.stringify({ groups: ['admins'], nested: { team: 'a' } })
    const answer = await token({
      grant_type: TEST_TOKEN_GRANT,
      subject: 'alice',
      audience: 'reviews',
      scope: 'read write',
      claims,
    })
    expect(payloadOf(answer.token!)).toMatchObject({
      sub: 'alice',
      aud: 'reviews',
      scope: 'read write',
      groups: ['admins'],
      nested: { team: 'a' },
    })
  })

  test('refuses a wrong secret and an unknown grant', async () => {
    expect(await token({ grant_type: 'client_credentials' }, 'wrong')).toEqual({ status: 401 })
    expect(await token({ grant_type: 'password' })).toEqual({ status: 400 })
  })

  test('rotates its keys, with and without the old ones', async () => {
    const { token: old } = await token({ grant_type: 'client_credentials' })
    expect(((await (await app.fetch('/ambient/rotate-keys', { method: 'POST' })).json()) as Jwks).keys).toHaveLength(2)
    expect(await isSignedByPublished(old!)).toBe(true)
    const { token: next } = await token({ grant_type: 'client_credentials' })
    expect(next!.split('.')[0]).not.toBe(old!.split('.')[0])
    await app.fetch('/ambient/rotate-keys?drop=true', { method: 'POST' })
    expect((await jwks()).keys).toHaveLength(1)
    expect(await isSignedByPublished(old!)).toBe(false)
  })
})
