import { readFileSync } from 'node:fs'
import { type CheckOutcome, GrpcChecker, type ProtoJson } from '@ambient-lab/testing/grpc'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { AppBench, type RunningApp } from '../test-kit/app-bench.ts'

/** Decides whatever it is told to: see decisions.rego beside it. */
const BUNDLE = readFileSync(new URL('../test-kit/opa/decisions.tar.gz', import.meta.url))
const UNKNOWN = 2

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

function opa(decision: string, ...args: string[]): Promise<RunningApp> {
  const spec = { args: ['run', `--set=plugins.envoy_ext_authz_grpc.path=${decision}`, ...args, '-b', '/bundles'] }
  const bundle = { path: '/bundles/decisions.tar.gz', content: BUNDLE.toString('base64'), encoding: 'base64' } as const
  return bench.run('opa', 'openpolicyagent/opa', spec, [bundle])
}

async function ask(app: RunningApp, attributes: ProtoJson): Promise<CheckOutcome> {
  using checker = new GrpcChecker(app.container.ports['9191']!)
  return await checker.check({ attributes })
}

async function decide(decision: unknown, ...args: string[]): Promise<CheckOutcome> {
  const body = JSON.stringify({ decision })
  const http = { path: '/', headers: { 'content-type': 'application/json' }, body }
  return ask(await opa('test/decision', ...args), { request: { http } })
}

describe('a decision', () => {
  const header = (key: string, value: string) => ({ header: { key, value } })
  test.each<[title: string, decision: unknown, response: ProtoJson]>([
    ['true', true, { status: {} }],
    ['false', false, { status: { code: 7 } }],
    ['an object that allows', { allowed: true }, { status: {}, ok_response: {} }],
    ['an object that denies', { allowed: false }, { status: { code: 7 }, denied_response: { status: { code: 403 } } }],
    [
      'all that goes with a request',
      {
        allowed: true,
        headers: { b: ['2', '3'] },
        request_headers_to_remove: ['c', 'd'],
        response_headers_to_add: [{ e: '4' }, { e: '5' }],
        query_parameters_to_set: { g: ['7', '8'] },
        query_parameters_to_remove: ['h'],
        ...{ body: 'unused', http_status: 302 },
      },
      {
        ok_response: {
          headers: [header('b', '2'), header('b', '3')],
          headers_to_remove: ['c', 'd'],
          response_headers_to_add: [header('e', '4'), header('e', '5')],
          query_parameters_to_set: [
            { key: 'g', value: '7' },
            { key: 'g', value: '8' },
          ],
          query_parameters_to_remove: ['h'],
        },
      },
    ],
    [
      'all that goes with a refusal',
      { allowed: false, http_status: 302, body: 'grün', headers: { location: '/login' } },
      { denied_response: { status: { code: 302 }, body: 'grün', headers: [header('location', '/login')] } },
    ],
  ])('%s is a response', async (_title, decision, response) => {
    const outcome = await decide(decision)
    expect(outcome).toMatchObject({ code: 0, response })
    if (typeof decision === 'boolean') expect(outcome.response).not.toHaveProperty('http_response')
  })

  test.each<[decision: unknown, problem: string]>([
    ['yes', 'failed to get response status: illegal value for policy evaluation result: string'],
    [[true], 'failed to get response status: illegal value for policy evaluation result: []interface {}'],
    [null, 'failed to get response status: illegal value for policy evaluation result: <nil>'],
    [{}, 'unable to determine evaluation result due to missing "allowed" key'],
    [{ allowed: 1 }, "expected allowed to be of type 'boolean' but got 'json.Number'"],
    [{ allowed: true, headers: 'a' }, "expected headers to be of type 'object' but got 'string'"],
    [{ allowed: true, headers: { a: 1 } }, "failed to get response headers: type assertion error for header 'a'"],
    [{ allowed: true, headers: { a: [1] } }, "invalid value type json.Number for header 'a'"],
    [{ allowed: true, request_headers_to_remove: 'a' }, "expected request_headers_to_remove to be of type '[]string'"],
    [{ allowed: true, query_parameters_to_remove: [true] }, "to be of type 'string' but got 'bool'"],
    [
      { allowed: true, query_parameters_to_set: ['a'] },
      "expected query_parameters_to_set to be a map but got '[]interface {}'",
    ],
    [
      { allowed: true, query_parameters_to_set: { a: {} } },
      "expected value to be string or array but got 'map[string]interface {}'",
    ],
    [
      { allowed: true, query_parameters_to_set: { a: [1] } },
      "expected array element to be string but got 'json.Number'",
    ],
    [{ allowed: false, body: 1 }, "expected body to be of type 'string' but got 'json.Number'"],
    [{ allowed: false, http_status: '403' }, "expected http_status to be of type 'number' but got 'string'"],
    [{ allowed: false, http_status: 299 }, 'failed to get response http status: invalid HTTP status code 299'],
    [{ allowed: false, http_status: 403.5 }, 'invalid HTTP status code 403.5'],
  ])('%j is an error of the call', async (decision, problem) => {
    const outcome = await decide(decision)
    expect(outcome).toMatchObject({ code: UNKNOWN, response: undefined })
    expect(outcome.details).toContain(problem)
    expect((await decide(decision, '--set=plugins.envoy_ext_authz_grpc.dry-run=true')).code).toBe(UNKNOWN)
  })

  it('that is undefined is an error of the call, and so is a conflict of rules', async () => {
    const app = await opa('test/decision', '--set=decision_logs.console=true')
    expect(await ask(app, { request: { http: { path: '/' } } })).toMatchObject({
      code: UNKNOWN,
      details: 'undefined decision',
    })
    const conflict = await ask(app, { request: { http: { path: '/?fail=conflict' } } })
    expect(conflict.code).toBe(UNKNOWN)
    expect(conflict.details).toMatch(/conflict/)
    const logged = app.container.log.tail(10).filter((line) => line.includes('Decision Log'))
    expect(logged.map((line) => JSON.parse(line).error)).toEqual(['undefined decision', conflict.details])
    expect(await ask(app, { request: { http: { path: '/?fail=no' } } })).toMatchObject({
      details: 'undefined decision',
    })
  })
})

/** What a policy sees. */
async function shown(attributes: ProtoJson, ...args: string[]): Promise<Record<string, unknown>> {
  const { response } = await ask(await opa('test/shown', ...args), attributes)
  const { ok_response: ok } = response as { ok_response: { headers: { header: { value: string } }[] } }
  return JSON.parse(ok.headers[0]!.header.value)
}

describe('the input', () => {
  it('has every attribute under its name in JSON, and what is derived of them', async () => {
    const input = await shown({
      source: {
        address: { socket_address: { address: '10.0.0.1', port_value: 4000 } },
        principal: 'spiffe://td/ns/a/sa/b',
        labels: { app: 'curl' },
      },
      destination: { address: { socket_address: { address: '10.0.0.2', port_value: 80 } }, service: 'web' },
      request: {
        time: { seconds: 1_700_000_000, nanos: 5 },
        http: {
          ...{ id: '7', method: 'GET', path: '/a//b%2Fc/?x=1&y&x=2+3&%7A=%C3%BC', host: 'web', scheme: 'http' },
          ...{ protocol: 'HTTP/1.1', size: -1, raw_body: Buffer.from([1, 2]) },
          headers: { ':path': '/a', accept: '*/*' },
        },
      },
      context_extensions: { a: 'b' },
    })
    expect(input).toEqual({
      attributes: {
        source: {
          address: { socketAddress: { address: '10.0.0.1', portValue: 4000 } },
          principal: 'spiffe://td/ns/a/sa/b',
          labels: { app: 'curl' },
        },
        destination: { address: { socketAddress: { address: '10.0.0.2', portValue: 80 } }, service: 'web' },
        request: {
          time: { seconds: 1_700_000_000, nanos: 5 },
          http: {
            ...{ id: '7', method: 'GET', path: '/a//b%2Fc/?x=1&y&x=2+3&%7A=%C3%BC', host: 'web', scheme: 'http' },
            ...{ protocol: 'HTTP/1.1', size: -1, rawBody: 'AQI=' },
            headers: { ':path': '/a', accept: '*/*' },
          },
        },
        contextExtensions: { a: 'b' },
      },
      parsed_path: ['a', '', 'b', 'c', ''],
      parsed_query: { x: ['1', '2 3'], y: [''], z: ['ü'] },
      parsed_body: null,
      truncated_body: false,
      source_principal: 'spiffe://td/ns/a/sa/b',
      version: { ext_authz: 'v3', encoding: 'protojson' },
    })
  })

  it('of nothing is all that is there of nothing', async () => {
    expect(await shown({})).toEqual({
      ...{ attributes: {}, parsed_path: [''], parsed_query: {}, parsed_body: null, truncated_body: false },
      version: { ext_authz: 'v3', encoding: 'protojson' },
    })
  })

  const FORM = 'application/x-www-form-urlencoded'
  const MULTIPART = 'multipart/form-data; boundary="-b"'
  const multipart =
    '---b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n2\r\n' +
    '---b\r\ncontent-disposition: form-data; name=a\r\n\r\n3\r\n' +
    '---b\r\nContent-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{"k": 1}\r\n---b--\r\n'
  test.each<[title: string, type: string | undefined, http: ProtoJson, body: unknown, truncated: boolean]>([
    ['JSON', 'application/json; charset=utf-8', { body: '{"a": [1.5]}' }, { a: [1.5] }, false],
    ['JSON as bytes', 'application/json', { raw_body: Buffer.from('[null]') }, [null], false],
    ['no JSON', 'application/json', {}, null, false],
    ['JSON that is cut', 'application/json', { body: '{"a"', headers: { 'content-length': '9' } }, null, true],
    ['what the proxy has cut', FORM, { body: 'a', headers: { 'x-envoy-auth-partial-body': 'true' } }, null, true],
    ['JSON, whole', 'application/json', { body: '{}', headers: { 'content-length': '2' } }, {}, false],
    ['a form', FORM, { body: 'a=1&a=2&b=%26' }, { a: ['1', '2'], b: ['&'] }, false],
    ['a form of parts', MULTIPART, { body: multipart }, { a: ['1\r\n2', '3'], j: [{ k: 1 }] }, false],
    ['parts without a boundary', 'multipart/form-data', { body: multipart }, null, false],
    ['gRPC, whose messages nobody described', 'application/grpc', { raw_body: Buffer.from([0]) }, null, false],
    ['another type', 'text/plain', { body: '{}' }, null, false],
    ['no type', undefined, { body: '{}' }, null, false],
  ])('has the body of %s', async (_title, type, http, body, truncated) => {
    const headers = { ...(http.headers as object), ...(type && { 'content-type': type }) }
    const input = await shown({ request: { http: { ...http, headers } } })
    expect([input.parsed_body, input.truncated_body]).toEqual([body, truncated])
  })

  it('has no body where none is to be parsed', async () => {
    const http = { body: '{', headers: { 'content-type': 'application/json' } }
    const input = await shown({ request: { http } }, '--set=plugins.envoy_ext_authz_grpc.skip-request-body-parse=true')
    expect(input).not.toHaveProperty('parsed_body')
    expect(input).not.toHaveProperty('truncated_body')
  })
})
