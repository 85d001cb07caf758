import { L7_PROXY_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench } from './control-plane.conformance.ts'
import { parseMeshSettings } from './mesh-settings.ts'
import { CONFIG_MAPS, EVENTS, GATEWAYS } from './stored-kinds.ts'

const PROXY = 'default/waypoint'
const gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'waypoint', namespace: 'default' },
  spec: {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  },
}
const configMap = (mesh: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: { mesh },
})

async function started(): Promise<ControlPlaneBench> {
  const bench = await ControlPlaneBench.start()
  await bench.join('n1')
  await bench.create(GATEWAYS, gateway as never)
  await bench.settle(2000)
  return bench
}

/** Parsing YAML takes turns of the event loop that no clock moves. */
async function write(bench: ControlPlaneBench, mesh: string | undefined): Promise<void> {
  const { cluster } = bench.controlPlane
  const key = 'istio-system/istio'
  await cluster.store.write(CONFIG_MAPS, key, () => (mesh === undefined ? undefined : (configMap(mesh) as never)))
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise(setImmediate)
    await bench.settle()
  }
}

const normalization = (bench: ControlPlaneBench) => bench.resource(L7_PROXY_TYPE, PROXY)?.pathNormalization

describe('the ConfigMap istio', () => {
  it('sets what holds for the whole mesh, at once, and gives it back when it goes', async () => {
    await using bench = await started()
    expect(normalization(bench)).toBe('BASE')
    await write(bench, 'pathNormalization: {normalization: MERGE_SLASHES}')
    expect(normalization(bench)).toBe('MERGE_SLASHES')
    await write(bench, undefined)
    expect(normalization(bench)).toBe('BASE')
  })

  it('that cannot be read changes nothing, and says why', async () => {
    await using bench = await started()
    await write(bench, 'pathNormalization: {normalization: MERGE_SLASHES}')
    await write(bench, 'pathNormalization: {normalization: SOMETIMES}')
    await bench.settle(2000)
    expect(normalization(bench)).toBe('MERGE_SLASHES')
    const messages = bench.list(EVENTS).map((event) => (event as unknown as { message: string }).message)
    expect(messages).toContainEqual(expect.stringMatching(/pathNormalization.normalization is none of NONE, BASE/))
  })
})

describe('parseMeshSettings', () => {
  it('takes what the lab follows, and passes the rest over', async () => {
    const text = `
extensionProviders:
- name: authz
  envoyExtAuthzGrpc: {service: ext-authz.default.svc.cluster.local, port: "9000", timeout: 1s}
accessLogFile: ""
enableTracing: true
`
    expect(await parseMeshSettings(text)).toEqual({
      extensionProviders: [
        {
          name: 'authz',
          envoyExtAuthzGrpc: { service: 'ext-authz.default.svc.cluster.local', port: 9000, timeout: '1s' },
        },
      ],
      accessLogFile: '',
    })
    expect(await parseMeshSettings('')).toEqual({})
  })

  it.each([
    ['[]', /it is no object/],
    ['a: [', /not followed/],
    ['extensionProviders: {}', /extensionProviders is no list/],
    ['extensionProviders: [{name: 7}]', /extensionProviders\[0\].name is no text/],
    ['extensionProviders: [{name: a, envoyExtAuthzHttp: 7}]', /extensionProviders\[0\].envoyExtAuthzHttp is no object/],
    ['extensionProviders: [{name: a, envoyExtAuthzGrpc: {timeout: soon}}]', /Grpc.timeout: "soon" is no duration/],
    [
      'extensionProviders: [{name: a, envoyExtAuthzGrpc: {timeout: 600h}}]',
      /Grpc.timeout: 600h is longer than 24 days/,
    ],
    [
      'extensionProviders: [{name: a, envoyExtAuthzGrpc: {failOpen: "yes"}}]',
      /Grpc.failOpen is neither true nor false/,
    ],
    ['extensionProviders: [{name: a, envoyExtAuthzGrpc: {port: http}}]', /Grpc.port is no whole number/],
    [
      'extensionProviders: [{name: a, envoyExtAuthzHttp: {includeRequestBodyInCheck: {maxRequestBytes: -1}}}]',
      /includeRequestBodyInCheck.maxRequestBytes is no whole number/,
    ],
    [
      'extensionProviders: [{name: a, envoyExtAuthzHttp: {headersToUpstreamOnAllow: x}}]',
      /headersToUpstreamOnAllow is no list/,
    ],
    [
      'extensionProviders: [{name: a, envoyExtAuthzHttp: {includeAdditionalHeadersInCheck: {a: 1}}}]',
      /includeAdditionalHeadersInCheck.a is no text/,
    ],
    ['accessLogEncoding: XML', /accessLogEncoding is none of TEXT, JSON/],
    ['trustDomainAliases: [1]', /trustDomainAliases\[0\] is no text/],
  ])('refuses %s', async (text, message) => {
    await expect(parseMeshSettings(text)).rejects.toThrow(message)
  })
})
