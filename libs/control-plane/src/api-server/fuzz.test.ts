import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN,
  CONFIG_MAPS,
  DEPLOYMENTS,
  deploymentBody,
  PODS,
  podBody,
  TestApiServer,
  type TestClient,
} from './harness.conformance.ts'

let server: TestApiServer
let admin: TestClient

beforeAll(async () => {
  server = await TestApiServer.start()
  admin = server.client(ADMIN)
})
afterAll(() => server[Symbol.asyncDispose]())

const RUNS = { numRuns: 300, seed: 1 }
const word = fc.constantFrom(
  'metadata',
  'name',
  'labels',
  'spec',
  'status',
  'containers',
  'ports',
  'finalizers',
  'ownerReferences',
  'kind',
  'apiVersion',
  'resourceVersion',
  'uid',
  'managedFields',
  'x',
  '',
  'toString',
  '$patch',
  'replicas',
  'template',
  'selector',
  'matchLabels',
  'op',
  'path',
  'from',
  'value',
  'generateName',
  'namespace',
  'dryRun',
  'preconditions',
)
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 'a', '', 'v1', 'Pod', 'replace', '/metadata/name', '1', 0, -1, 1.5, 1e300, true),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(word, tie('json'), { maxKeys: 5 }),
  ),
}))

async function expectHandled(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer
  if (status >= 500 && status !== 504) throw new Error(`${status}: ${text}`)
}

describe('any request gets an answer below 500', () => {
  it('whatever the path and query', async () => {
    const segment = fc.constantFrom(
      'api',
      'apis',
      'v1',
      'namespaces',
      'default',
      'pods',
      'apps',
      'deployments',
      'status',
      'scale',
      '%00',
      '%2e%2e',
      '%',
      'a',
      '__proto__',
      'x'.repeat(300),
      'openapi',
      'v3',
    )
    const pair = fc.tuple(
      fc.constantFrom(
        'watch',
        'limit',
        'continue',
        'labelSelector',
        'fieldSelector',
        'resourceVersion',
        'resourceVersionMatch',
        'dryRun',
        'includeObject',
        'gracePeriodSeconds',
        'propagationPolicy',
      ),
      fc.constantFrom(
        '',
        '0',
        '1',
        '-1',
        '1e9',
        'a=b',
        'a+in+(',
        'Exact',
        'All',
        '%00',
        'eyJyIjoxfQ',
        '99999999999999999999',
      ),
    )
    const method = fc.constantFrom('GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH')
    await fc.assert(
      fc.asyncProperty(
        method,
        fc.array(segment, { maxLength: 8 }),
        fc.array(pair, { maxLength: 3 }),
        async (verb, segments, query) => {
          // A watch that is granted does not end by itself: it has its own tests.
          const text = query
            .filter(([name]) => name !== 'watch')
            .map((entry) => entry.join('='))
            .join('&')
          await expectHandled(admin.call(verb, `/${segments.join('/')}?${text}`))
        },
      ),
      RUNS,
    )
  })

  it('whatever the body', async () => {
    const target = fc.constantFrom(
      PODS,
      CONFIG_MAPS,
      DEPLOYMENTS,
      '/api/v1/namespaces',
      '/apis/ambient.lab/v1/faults',
      '/api/v1/events',
    )
    await fc.assert(
      fc.asyncProperty(target, json, async (path, body) => expectHandled(admin.post(path, JSON.stringify(body)))),
      RUNS,
    )
    await fc.assert(
      fc.asyncProperty(target, fc.string(), async (path, body) => expectHandled(admin.post(path, body))),
      RUNS,
    )
  })

  it('names in an object on its way out that are no list', async () => {
    const body = podBody('leaving')
    await admin.post(PODS, { ...body, metadata: { ...body.metadata, finalizers: ['x/stay'] } })
    await admin.call('DELETE', `${PODS}/leaving`)
    const answer = await admin.patch(`${PODS}/leaving`, JSON.stringify({ metadata: { finalizers: 'x' } }), 'merge')
    expect(answer.status).toBe(422)
    await admin.patch(`${PODS}/leaving`, JSON.stringify({ metadata: { finalizers: null } }), 'merge')
  })

  it('whatever the patch, and the object stays one that can be listed', async () => {
    await admin.post(PODS, podBody('fuzzed'))
    await admin.post(DEPLOYMENTS, deploymentBody('fuzzed'))
    const type = fc.constantFrom('json', 'merge', 'strategic-merge', 'apply')
    const target = fc.constantFrom(
      `${PODS}/fuzzed`,
      `${DEPLOYMENTS}/fuzzed`,
      `${DEPLOYMENTS}/fuzzed/status`,
      `${DEPLOYMENTS}/fuzzed/scale`,
    )
    await fc.assert(
      fc.asyncProperty(target, type, json, async (path, kind, body) => {
        await expectHandled(admin.patch(`${path}?fieldManager=f`, JSON.stringify(body), kind as 'json'))
        await expectHandled(admin.put(path, JSON.stringify(body)))
      }),
      RUNS,
    )
    for (const path of [PODS, DEPLOYMENTS]) {
      const table = await admin.get(path, { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
      expect(table.body.rows.length).toBeGreaterThan(0)
    }
  })

  it('nor does a body without bottom or with a prototype', async () => {
    for (const deep of [
      '['.repeat(100_000),
      '['.repeat(100_000) + ']'.repeat(100_000),
      `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
    ]) {
      expect((await admin.post(PODS, deep)).status).toBe(400)
      expect((await admin.patch(`${PODS}/fuzzed`, deep, 'merge')).status).toBe(400)
    }
    expect((await admin.post(CONFIG_MAPS, '{"metadata":{"name":"p","__proto__":{"x":1}}}')).status).toBe(400)
    const flow = `{a: ${'['.repeat(3000)}${']'.repeat(3000)}}`
    const yaml = await admin.call('POST', PODS, { body: flow, headers: { 'Content-Type': 'application/yaml' } })
    expect(yaml.status).toBe(400)
  })
})
