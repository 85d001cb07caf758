import { X509Certificate } from 'node:crypto'
import { createCsr, generateKeyPair, NODE_USER_PREFIX } from '@ambient-lab/pki'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, VERSION } from './control-plane.conformance.ts'
import { JOIN_TOKENS, NODES } from './stored-kinds.ts'

const USER = { name: 'ambient-admin', groups: ['system:masters'] }

interface TokenContent {
  readonly u: string
  readonly ca: string
  readonly s: string
  readonly n: string
}

async function createToken(bench: ControlPlaneBench, node: string, ttlSeconds?: number): Promise<TokenContent> {
  const object = {
    ...{ apiVersion: 'ambient.lab/v1', kind: 'JoinToken', metadata: { name: node } },
    spec: { node, ...(ttlSeconds && { ttlSeconds }) },
  }
  const created = bench.controlPlane.join.createToken({ object, user: USER, dryRun: false })
  await bench.settle()
  const { token } = (await created).status as { token: string }
  expect(token.startsWith('al1.')).toBe(true)
  return JSON.parse(Buffer.from(token.slice(4), 'base64url').toString())
}

async function join(bench: ControlPlaneBench, request: Record<string, unknown>) {
  const body = JSON.stringify(request)
  const reply = bench.controlPlane.join.joinRoute({ query: new URLSearchParams(), body, user: USER, remoteAddress: '' })
  await bench.settle()
  const { status, body: text } = await reply
  return { status, ...JSON.parse(text) } as { status: number } & Record<'rootsPem' | 'certificatePem', string>
}

function requestFor(token: TokenContent, fields: Record<string, unknown> = {}) {
  const csrPem = createCsr(generateKeyPair(), { subject: { commonName: 'anything' } })
  return { secret: token.s, node: token.n, csrPem, version: VERSION, ...fields }
}

describe('a join token', () => {
  it('pins the root, and lets its node in with a certificate in that name', async () => {
    await using bench = await ControlPlaneBench.start()
    const token = await createToken(bench, 'n1')
    const reply = await join(bench, requestFor(token))
    expect(reply).toMatchObject({ status: 200, clusterId: 'Kubernetes', trustDomain: 'cluster.local' })
    const root = new X509Certificate(reply.rootsPem)
    expect(root.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(token.ca)
    expect(new X509Certificate(reply.certificatePem).subject).toContain(`CN=${NODE_USER_PREFIX}n1`)
    expect(bench.get(NODES, 'n1')).toBeDefined()
  })

  it('is not kept: only the hash of its secret is', async () => {
    await using bench = await ControlPlaneBench.start()
    const token = await createToken(bench, 'n1')
    expect(JSON.stringify(bench.list(JOIN_TOKENS))).not.toContain(token.s)
  })

  it('works once', async () => {
    await using bench = await ControlPlaneBench.start()
    const token = await createToken(bench, 'n1')
    await join(bench, requestFor(token))
    expect(await join(bench, requestFor(token))).toMatchObject({
      ...{ status: 401, code: 'TOKEN_USED' },
      message: expect.stringContaining('the join token of node n1 was used at 2026-01-01T00:00:00Z'),
    })
  })

  it('works for one of two that use it at the same time', async () => {
    await using bench = await ControlPlaneBench.start()
    const token = await createToken(bench, 'n1')
    const replies = await Promise.all([join(bench, requestFor(token)), join(bench, requestFor(token))])
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401])
  })

  it('expires', async () => {
    await using bench = await ControlPlaneBench.start()
    const token = await createToken(bench, 'n1', 60)
    await bench.settle(61_000)
    expect(await join(bench, requestFor(token))).toMatchObject({ status: 401, code: 'TOKEN_EXPIRED' })
  })

  it.each([
    ['another secret', { secret: 'x' }, 401, 'TOKEN_UNKNOWN'],
    ['another node', { node: 'n2' }, 401, 'TOKEN_UNKNOWN'],
    ['another version', { version: '0.9.0' }, 426, 'VERSION_MISMATCH'],
    ['no request for a certificate', { csrPem: 'PEM' }, 400, 'CSR_REFUSED'],
    ['a missing field', { node: undefined }, 400, 'BAD_REQUEST'],
  ])('is not spent by %s', async (_, fields, status, code) => {
    await using bench = await ControlPlaneBench.start()
    const token = await createToken(bench, 'n1')
    expect(await join(bench, requestFor(token, fields))).toMatchObject({ status, code })
    expect(await join(bench, requestFor(token))).toMatchObject({ status: 200 })
  })
})
