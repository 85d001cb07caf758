import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCsr } from '@ambient-lab/pki'
import { systemClock, VirtualClock } from '@ambient-lab/std'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadCredentials, storeCredentials } from './credentials.ts'
import { exitCodeOf } from './exit-codes.ts'
import { joinLab, parseJoinToken } from './join.ts'
import { FakeControlPlane } from './test-kit/fake-control-plane.ts'

const WISH = { node: 'n1', version: '0.1.0' }
const components = { clock: systemClock }

let plane: FakeControlPlane
beforeAll(async () => {
  plane = await new FakeControlPlane().listen()
})
afterAll(() => plane.close())
beforeEach(() => {
  plane.posted.length = 0
})

test('a token becomes credentials, with a key that never left', async () => {
  const credentials = await joinLab(plane.token(), WISH, components)
  expect(credentials).toMatchObject({ api: plane.url, node: 'n1', rootsPem: plane.rootsPem.join('') })
  expect(new X509Certificate(credentials.certificatePem).subject).toContain('CN=system:node:n1')
  const [posted] = plane.posted
  expect(posted).toMatchObject({ secret: 's3cret', node: 'n1', version: '0.1.0' })
  expect(parseCsr(posted!.csrPem).subject).toEqual({ commonName: 'system:node:n1', organizations: ['system:nodes'] })
  expect(credentials.keyPem).toContain('PRIVATE KEY')
  expect(JSON.stringify(posted)).not.toContain('PRIVATE KEY')
})

test('a wrong pin ends it before the secret is said', async () => {
  const caPin = createHash('sha256').update('another').digest('hex')
  await expect(joinLab(plane.token({ caPin }), WISH, components)).rejects.toMatchObject({ code: 'CA_PIN_MISMATCH' })
  expect(plane.posted).toEqual([])
})

test('a server that shows the right root and has another’s certificate does not hear the secret', async () => {
  const impostor = await new FakeControlPlane().listen()
  impostor.rootsPem = plane.authority.rootsPem
  try {
    await expect(
      joinLab(impostor.token({ caPin: plane.authority.rootFingerprint }), WISH, components),
    ).rejects.toMatchObject({ code: 'CA_PIN_MISMATCH' })
    expect(impostor.posted).toEqual([])
  } finally {
    await impostor.close()
  }
})

describe('refusals', () => {
  afterEach(() => {
    plane.answerJoin = (posted) => plane.sign(posted)
  })

  test.each([
    [401, { code: 'TOKEN_USED', message: 'by n1' }, 'TOKEN_USED', 77, 'was used before'],
    [401, { code: 'TOKEN_EXPIRED', message: '' }, 'TOKEN_EXPIRED', 77, 'has expired'],
    [401, { code: 'TOKEN_UNKNOWN', message: '' }, 'TOKEN_UNKNOWN', 77, 'does not know'],
    [426, { code: 'VERSION_MISMATCH', message: 'this is 0.2.0' }, 'VERSION_MISMATCH', 76, '0.1.0'],
    [503, { message: 'busy' }, 'JOIN_FAILED', 69, 'busy'],
    [500, '<html>', 'JOIN_FAILED', 69, 'no JSON object'],
    [200, {}, 'JOIN_FAILED', 69, 'no certificate'],
  ])('%i %j → %s', async (status, body, code, exitCode, part) => {
    plane.answerJoin = () => ({ status, body })
    const error = await joinLab(plane.token(), WISH, components).catch((reason) => reason)
    expect(error).toMatchObject({ code, message: expect.stringContaining(part) })
    expect(exitCodeOf(error)).toBe(exitCode)
  })

  test('a token of another node is not even tried', async () => {
    const error = await joinLab(plane.token({ node: 'n2' }), WISH, components).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'TOKEN_WRONG_NODE' })
    expect(exitCodeOf(error)).toBe(77)
  })

  test('nobody there: waits for a control plane that starts, and no longer', async () => {
    const clock = new VirtualClock()
    const gone = await new FakeControlPlane().listen()
    const token = gone.token()
    await gone.close()
    const joining = joinLab(token, WISH, { clock }).catch((reason) => reason)
    const deadline = systemClock.monotonic() + 5000
    let settled = false
    void joining.then(() => {
      settled = true
    })
    while (!settled && systemClock.monotonic() < deadline) await clock.advance(1000)
    expect(await joining).toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE' })
    expect(exitCodeOf(await joining)).toBe(69)
  })
})

describe('tokens', () => {
  const encode = (value: unknown) => `al1.${Buffer.from(JSON.stringify(value)).toString('base64url')}`
  const good = { u: 'https://127.0.0.1:6443/', ca: 'AB'.repeat(32), s: 'x', n: 'n1' }

  test('parse, white space around them forgiven', () => {
    expect(parseJoinToken(` ${encode(good)}\n`)).toEqual({
      api: 'https://127.0.0.1:6443',
      caPin: 'ab'.repeat(32),
      secret: 'x',
      node: 'n1',
    })
  })

  test.each([
    ['', 'empty'],
    ['al2.abc', 'another version'],
    ['al1.!!!', 'no base64'],
    [encode([]), 'no object'],
    [encode({ ...good, u: 'http://x' }), 'plain HTTP'],
    [encode({ ...good, ca: 'abc' }), 'a short pin'],
    [encode({ ...good, s: '' }), 'no secret'],
  ])('%s is refused: %s', (text) => {
    expect(() => parseJoinToken(text)).toThrow(expect.objectContaining({ code: 'TOKEN_MALFORMED' }))
  })
})

describe('credentials', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const credentials = { api: 'https://a', node: 'n1', keyPem: 'K', certificatePem: 'C', rootsPem: 'R' }

  test('none before the first join', () => {
    expect(loadCredentials(join(folder, 'none'), 'n1')).toBeUndefined()
  })

  test('come back whole, and nobody else can read them', () => {
    const state = join(folder, 'n1')
    storeCredentials(state, credentials)
    storeCredentials(state, credentials)
    expect(loadCredentials(state, 'n1')).toEqual(credentials)
    expect(readdirSync(state).sort()).toEqual(['join.json', 'node.key', 'node.pem', 'roots.pem'])
    for (const file of readdirSync(state)) expect(statSync(join(state, file)).mode & 0o777).toBe(0o600)
    expect(statSync(state).mode & 0o777).toBe(0o700)
  })

  test('of another node, or damaged, are refused with the next step', () => {
    const state = join(folder, 'n1')
    expect(() => loadCredentials(state, 'n2')).toThrow(expect.objectContaining({ code: 'STATE_OF_OTHER_NODE' }))
    writeFileSync(join(state, 'join.json'), '{')
    expect(() => loadCredentials(state, 'n1')).toThrow(expect.objectContaining({ code: 'STATE_UNREADABLE' }))
  })
})
