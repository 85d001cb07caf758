import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { errorMessage } from '@ambient-lab/std'
import { temporaryFolder } from '@ambient-lab/testing'
import { type CheckOutcome, GrpcChecker, type ProtoJson } from '@ambient-lab/testing/grpc'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { AppBench, type RunningApp } from '../test-kit/app-bench.ts'
import { tarFiles } from './_tar.ts'

const EXAMPLE = new URL('../../../../examples/opa/', import.meta.url)
const FIXTURE = new URL('../test-kit/opa/', import.meta.url)
const MANIFEST = readFileSync(new URL('policy-bundle.yaml', EXAMPLE), 'utf8')
const BUNDLE = Buffer.from(/bundle\.tar\.gz: \|\n(.*)$/s.exec(MANIFEST)![1]!, 'base64')
const PLUGIN = '--set=plugins.envoy_ext_authz_grpc'
const INSIDE = 'spiffe://cluster.local/ns/opa/sa/curl'
const ORDERS = '/anything/orders'

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

/** By absolute path; undefined: not there. */
type Files = Readonly<Record<string, Buffer | undefined>>

function opa(args: readonly string[] = [], files: Files = {}): Promise<RunningApp> {
  const spec = { args: ['run', '--server', ...args, '--bundle', '/policy/bundle.tar.gz'] }
  const mounted = Object.entries({ '/policy/bundle.tar.gz': BUNDLE, ...files }).flatMap(([path, bytes]) =>
    bytes ? [{ path, content: bytes.toString('base64'), encoding: 'base64' as const }] : [],
  )
  return bench.run('opa', 'openpolicyagent/opa:1.22.3-envoy', spec, mounted)
}

async function ask(app: RunningApp, http: ProtoJson, principal = ''): Promise<CheckOutcome> {
  using checker = new GrpcChecker(app.container.ports['9191']!)
  return await checker.check({ attributes: { source: { principal }, request: { http } } })
}

/** What is said in an outcome, of the two responses that there are. */
function told({ response }: CheckOutcome): Record<string, unknown> {
  const { status, denied_response: denied, ok_response: ok } = response as Record<string, Record<string, unknown>>
  const headers = (options: unknown) =>
    Object.fromEntries(
      ((options ?? []) as { header: { key: string; value: string } }[]).map(({ header }) => [header.key, header.value]),
    )
  return {
    allowed: (status?.code ?? 0) === 0,
    ...(denied && {
      status: (denied.status as { code: number }).code,
      body: denied.body,
      shown: headers(denied.headers),
    }),
    ...(ok && {
      added: headers(ok.headers),
      removed: ok.headers_to_remove,
      shown: headers(ok.response_headers_to_add),
    }),
  }
}

const order = (user: string, amount: unknown, more: ProtoJson = {}) => ({
  method: 'POST',
  path: ORDERS,
  headers: { 'x-user': user, 'content-type': 'application/json' },
  body: JSON.stringify({ amount }),
  ...more,
})
const yes = (role: string) => ({ allowed: true, added: { 'x-role': role }, removed: ['x-secret'], shown: SHOWN })
const no = (reason: string) => ({ allowed: false, status: 403, body: `opa: ${reason}\n`, shown: {} })
const SHOWN = { 'x-decided-by': 'opa' }

describe('the policy of examples/opa', () => {
  test.each<[title: string, http: ProtoJson, principal: string, decision: object]>([
    ['who looks from inside', { method: 'GET', path: '/get' }, INSIDE, yes('none')],
    ['who looks from elsewhere', { method: 'GET', path: '/get' }, '', no('nobody may GET /get')],
    ['who is next door', { method: 'GET', path: '/' }, 'spiffe://cluster.local/ns/opa2/sa/x', no('nobody may GET /')],
    ['who deletes', { method: 'DELETE', path: '/get' }, INSIDE, no('nobody may DELETE /get')],
    ['a clerk', order('bob', 100), '', yes('clerk')],
    ['a clerk who wants too much', order('bob', 101), INSIDE, no('bob may order up to 100')],
    ['a manager', order('ann', 101), '', yes('manager')],
    ['a manager who wants too much', order('ann', 10_001), '', no('ann may order up to 10000')],
    ['a stranger', order('eve', 1), INSIDE, no('eve may not order')],
    ['nobody', order('', 1, { headers: { 'content-type': 'application/json' } }), '', no('nobody may not order')],
    ['an order of no number', order('ann', 'much'), '', no('ann may order up to 10000')],
    [
      'an order of no JSON type',
      order('ann', 1, { headers: { 'x-user': 'ann' } }),
      '',
      no('ann may order up to 10000'),
    ],
    ['an order elsewhere', order('ann', 1, { path: '/anything/else' }), '', no('nobody may POST /anything/else')],
    ['an order in other letters', order('ann', 1, { path: '/%61nything/orders?x=1' }), '', yes('manager')],
  ])('%s', async (_title, http, principal, decision) => {
    expect(told(await ask(await opa(), http, principal))).toEqual(decision)
  })

  it('was compiled from the source beside it', () => {
    const sources = ['policy/policy.rego', 'policy/data.json'].map((path) => readFileSync(new URL(path, EXAMPLE)))
    const digest = createHash('sha256').update(Buffer.concat(sources)).digest('hex')
    expect(MANIFEST, 'compile it as the README of the example says').toContain(`policy-sha256: ${digest}`)
    const data = tarFiles(gunzipSync(BUNDLE)).get('/data.json')!
    expect(JSON.parse(Buffer.from(data).toString())).toEqual(JSON.parse(sources[1]!.toString()))
  })
})

/** Where somebody has the compiler that these were made with: it has to make them again. */
const hasCompiler = spawnSync('opa', ['version'], { encoding: 'utf8' }).stdout?.includes('Version: 1.22.3') ?? false

test.runIf(hasCompiler).each<[folder: URL, bundle: Buffer, args: string[]]>([
  [EXAMPLE, BUNDLE, ['--entrypoint', 'envoy/authz/allow', 'policy']],
  [
    FIXTURE,
    readFileSync(new URL('decisions.tar.gz', FIXTURE)),
    ['--entrypoint', 'test/decision', '--entrypoint', 'test/shown', 'decisions.rego'],
  ],
])('%s is what its sources are compiled to (with opa 1.22.3 alone)', async (cwd, bundle, args) => {
  await using folder = await temporaryFolder()
  const output = join(folder.path, 'bundle.tar.gz')
  spawnSync('opa', ['build', '--target', 'wasm', '--output', output, ...args], { cwd })
  const contents = (bytes: Buffer) =>
    new Map(Array.from(tarFiles(gunzipSync(bytes)), ([path, file]) => [path, Buffer.from(file)]))
  expect(contents(readFileSync(output))).toEqual(contents(bundle))
})

describe('opa', () => {
  it('answers who asks whether it lives, and nobody else', async () => {
    const app = await opa(['--addr=:8181'])
    const { host, port } = app.container.ports['8181']!
    const get = async (path: string) => (await fetch(`http://${host}:${port}${path}`)).status
    expect([await get('/health?plugins'), await get('/v1/data')]).toEqual([200, 404])
  })

  it('allows in a dry run what it would deny, and logs what it would have decided', async () => {
    const app = await opa([`${PLUGIN}.dry-run=true`, '--set', 'decision_logs.console=true'])
    expect(told(await ask(app, { method: 'DELETE', path: '/' }))).toEqual({
      ...{ allowed: true, added: {}, removed: undefined, shown: {} },
    })
    expect(told(await ask(app, order('bob', 1)))).toEqual(yes('clerk'))
    const lines = app.container.log.tail(20).filter((line) => line.includes('Decision Log'))
    expect(lines.map((line) => JSON.parse(line).result.allowed)).toEqual([false, true])
    expect(JSON.parse(lines[1]!)).toMatchObject({
      path: 'envoy/authz/allow',
      input: { parsed_path: ['anything', 'orders'], parsed_body: { amount: 1 }, attributes: {} },
      decision_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  it('names each decision in the dynamic metadata', async () => {
    const { response } = await ask(await opa(), { method: 'GET', path: '/' })
    expect(response).toMatchObject({
      dynamic_metadata: { fields: { decision_id: { string_value: expect.stringMatching(/^[0-9a-f-]{36}$/) } } },
    })
  })

  test.each<[title: string, http: ProtoJson, problem: RegExp]>([
    ['a path', { path: '/%zz' }, /^request_parse_error: invalid URL escape "%zz"$/],
    ['a query', { path: '/?a;b' }, /^request_parse_error: invalid semicolon separator in query$/],
    ['a body', order('ann', 1, { body: '{' }), /^request_parse_error: .*JSON/],
    [
      'a length',
      order('ann', 1, { headers: { 'content-type': 'application/json', 'content-length': 'x' } }),
      /length x/,
    ],
  ])('refuses %s that it cannot read with 400', async (_title, http, problem) => {
    const { response } = await ask(await opa(), http)
    expect(response).toMatchObject({ status: { code: 7 }, denied_response: { status: { code: 400 } } })
    expect((response as { denied_response: { body: string } }).denied_response.body).toMatch(problem)
  })

  test.each<[title: string, args: string[], files: Files, problem: string]>([
    ['no bundle', [], { '/policy/bundle.tar.gz': undefined }, 'opa: there is no file /policy/bundle.tar.gz'],
    ['a bundle that is none', [], { '/policy/bundle.tar.gz': Buffer.from('x') }, 'opa: /policy/bundle.tar.gz: '],
    [
      'Rego as text',
      ['/p.rego'],
      { '/p.rego': Buffer.from(''), '/policy/bundle.tar.gz': tarless() },
      'no policy in WebAssembly',
    ],
    [
      'another decision',
      [`${PLUGIN}.path=istio/authz/allow`],
      {},
      'no entry point istio/authz/allow, but envoy/authz/allow',
    ],
    ['two decisions', [`${PLUGIN}.path=a`, `${PLUGIN}.query=data.b`], {}, 'specify a value for only the "path" field'],
    ['a query that is more', [`${PLUGIN}.query=data.b == 1`], {}, 'query data.b == 1 is not data.NAME.NAME'],
    ['no configuration', ['--config-file=/c.yaml'], {}, 'there is no file /c.yaml'],
    ['a broken one', ['-c', '/c.yaml'], { '/c.yaml': Buffer.from('a: [') }, 'opa: /c.yaml: '],
  ])('does not start with %s, and says why', async (_title, args, files, problem) => {
    const failure = await opa(args, files).catch(errorMessage)
    expect(failure).toContain(problem)
  })

  test.each<[title: string, args: string[], config: string]>([
    [
      'a file of OPA',
      ['--config-file=/config/config.yaml'],
      'plugins:\n  envoy_ext_authz_grpc:\n    addr: :9191\n    path: envoy/authz/allow\n    dry-run: true\n',
    ],
    [
      'JSON',
      ['-c', '/config/config.yaml'],
      '{"plugins": {"envoy_ext_authz_grpc": {"query": "data.envoy.authz.allow", "dry-run": true}}}',
    ],
    [
      'words that win',
      ['-c', '/config/config.yaml', `${PLUGIN}.dry-run=true,decision_logs.console=false`],
      '{"plugins": {"envoy_ext_authz_grpc": {"dry-run": false}}}',
    ],
  ])('is configured by %s', async (_title, args, config) => {
    const app = await opa(args, { '/config/config.yaml': Buffer.from(config) })
    expect(told(await ask(app, { method: 'DELETE', path: '/' }))).toMatchObject({ allowed: true })
  })
})

/** A bundle in which nothing is. */
function tarless(): Buffer {
  return gzipSync(Buffer.alloc(1024))
}
