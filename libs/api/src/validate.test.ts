import { describe, expect, test } from 'vitest'
import { formatFieldError } from './field-errors.ts'
import { childPath, splitPath } from './json-path.ts'
import { findKindByName } from './registry.ts'
import type { Resource } from './resource.ts'
import { validateResource, validateSchema } from './validate.ts'

/** Messages about an object of the kind with these fields. */
function errorsOf(kind: string, fields: object, metadata: object = { name: 'a' }): string[] {
  return validate(kind, fields, metadata).errors.map(formatFieldError)
}

function validate(kind: string, fields: object, metadata: object = { name: 'a' }) {
  const definition = findKindByName(kind)!
  return validateResource(definition, { apiVersion: 'v1', kind, metadata, ...fields } as Resource)
}

const TEMPLATE = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'x' }] } }

describe('the schema', () => {
  test.each<[string, string, object, string[]]>([
    ['a port is missing', 'service', { spec: { ports: [{}] } }, ['spec.ports[0].port: Required value']],
    [
      'out of range',
      'service',
      { spec: { ports: [{ port: 99_999 }] } },
      ['spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive'],
    ],
    [
      'the wrong type',
      'service',
      { spec: { ports: [{ port: '80' }] } },
      ['spec.ports[0].port: Invalid value: "80": must be of type integer, not string'],
    ],
    [
      'a number where text is wanted',
      'service',
      { spec: { selector: { app: 1 }, ports: [{ port: 80 }] } },
      ['spec.selector.app: Invalid value: 1: must be of type string, not integer: write "1" in quotes'],
    ],
    [
      'a word that is none of the list',
      'service',
      { spec: { type: 'NodePorts', ports: [{ port: 80 }] } },
      [
        'spec.type: Unsupported value: "NodePorts": supported values: "ClusterIP", "NodePort", "LoadBalancer", "ExternalName" (did you mean "NodePort"?)',
      ],
    ],
    ['no spec', 'pod', {}, ['spec: Required value']],
    ['an empty list', 'pod', { spec: { containers: [] } }, ['spec.containers: Required value']],
    ['null is absent', 'pod', { spec: { containers: null } }, ['spec.containers: Required value']],
    [
      'a bad name of a container',
      'pod',
      { spec: { containers: [{ name: 'A' }] } },
      ['spec.containers[0].name: Invalid value: "A": must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'],
    ],
    ['a secret that is no base64', 'secret', { data: { key: '%%' } }, ['data.key: Invalid value: must be base64']],
  ])('%s', (_, kind, fields, expected) => {
    expect(errorsOf(kind, fields)).toEqual(expected)
  })

  test('fields that the kind does not have are told apart from errors', () => {
    const { errors, unknownFields } = validate('fault', {
      spec: { type: 'partition', from: ['a'], to: ['b'], duration: '1s', onewya: true },
    })
    expect(errors).toEqual([])
    expect(unknownFields).toEqual([{ path: 'spec.onewya', message: 'unknown field (did you mean "oneway"?)' }])
  })

  test('open objects keep what they have', () => {
    const spec = { containers: [{ name: 'a', securityContext: { runAsUser: 0 } }], volumes: [] }
    expect(validate('pod', { spec })).toEqual({ errors: [], unknownFields: [] })
  })

  test('findings are bounded', () => {
    const ports = Array.from({ length: 10_000 }, () => ({ port: 0 }))
    expect(errorsOf('service', { spec: { ports } })).toHaveLength(50)
  })

  test('so is depth', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)
    expect(errorsOf('envoyfilter', { spec: { deep } })).toEqual(['Too deep: nested deeper than 200'])
  })

  test('integers and text share a field', () => {
    const schema = { 'x-kubernetes-int-or-string': true }
    expect(validateSchema(schema, '25%').errors).toEqual([])
    expect(validateSchema(schema, 1).errors).toEqual([])
    expect(validateSchema(schema, 1.5, 'a').errors.map(formatFieldError)).toEqual([
      'a: Invalid value: 1.5: must be of type integer or string, not number',
    ])
  })
})

describe('metadata', () => {
  test.each<[object, RegExp | undefined]>([
    [{ name: 'a' }, undefined],
    [{ name: 'a.b-c.0' }, undefined],
    [{ generateName: 'a-' }, undefined],
    [{}, /^metadata.name: Required value/],
    [{ name: 'A' }, /^metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain/],
    [{ name: 'a'.repeat(254) }, /^metadata.name: Invalid value/],
    [{ name: 1 }, /^metadata.name: Invalid value: 1/],
    [{ name: 'a', namespace: 'a.b' }, /^metadata.namespace: Invalid value: "a.b": a lowercase RFC 1123 label/],
    [{ name: 'a', labels: { 'istio.io/rev': 'x', b: '' } }, undefined],
    [{ name: 'a', labels: { a: true } }, /^metadata.labels\[a\]: .*write "true" in quotes/],
    [{ name: 'a', labels: { a: 'b c' } }, /^metadata.labels\[a\]: Invalid value: "b c": a valid label/],
    [{ name: 'a', labels: { 'a/b/c': '' } }, /^metadata.labels: Invalid value: "a\/b\/c"/],
    [{ name: 'a', labels: [] }, /^metadata.labels: Invalid value: must be an object/],
    [{ name: 'a', annotations: { a: 'b c\n' } }, undefined],
    [{ name: 'a', annotations: { a: 'x'.repeat(262_144) } }, /^metadata.annotations: Too long/],
  ])('%j', (metadata, expected) => {
    const errors = errorsOf('configmap', {}, metadata)
    if (expected === undefined) expect(errors).toEqual([])
    else expect(errors).toEqual([expect.stringMatching(expected)])
  })

  test('names of Services and Namespaces are one label', () => {
    expect(errorsOf('namespace', {}, { name: 'a.b' })).toHaveLength(1)
    expect(errorsOf('service', { spec: { clusterIP: 'None' } }, { name: 'a.b' })).toHaveLength(1)
  })
})

describe('rules across fields', () => {
  test.each<[string, string, object, RegExp | undefined]>([
    ['one port needs no name', 'service', { ports: [{ port: 80 }] }, undefined],
    ['two do', 'service', { ports: [{ port: 80, name: 'a' }, { port: 81 }] }, /^spec.ports\[1\].name: Required value$/],
    [
      'and different ones',
      'service',
      {
        ports: [
          { port: 80, name: 'a' },
          { port: 81, name: 'a' },
        ],
      },
      /^spec.ports\[1\].name: Duplicate value: "a"$/,
    ],
    [
      'one port twice',
      'service',
      {
        ports: [
          { port: 80, name: 'a' },
          { port: 80, name: 'b' },
        ],
      },
      /^spec.ports\[1\]: Duplicate value: "80\/TCP"$/,
    ],
    ['a Service without ports', 'service', {}, /^spec.ports: Required value$/],
    ['headless without ports', 'service', { clusterIP: 'None' }, undefined],
    ['an external name is missing', 'service', { type: 'ExternalName' }, /^spec.externalName: Required value$/],
    [
      'a selector that fits',
      'deployment',
      { selector: { matchLabels: { app: 'web' } }, template: TEMPLATE },
      undefined,
    ],
    [
      'a selector that does not',
      'deployment',
      { selector: { matchLabels: { app: 'api' } }, template: TEMPLATE },
      /^spec.template.metadata.labels: Invalid value: .*`selector` does not match template `labels`$/,
    ],
    ['an empty selector', 'deployment', { selector: {}, template: TEMPLATE }, /^spec.selector: Invalid value/],
    ['a delay', 'fault', fault({}), undefined],
    ['for ever, said', 'fault', fault({ duration: 'forever' }), undefined],
    ['no unit', 'fault', fault({ duration: '60' }), /^spec.duration: .*a unit is missing: 60s or 60ms, or "forever"/],
    ['no time at all', 'fault', fault({ duration: '0s' }), /^spec.duration: /],
    ['no delay', 'fault', fault({ params: {} }), /^spec.params.delay: Required value/],
    ['a bad delay', 'fault', fault({ params: { delay: '120' } }), /^spec.params.delay: .*120s or 120ms/],
    ['a param too many', 'fault', fault({ params: { delay: '1ms', loss: '1s' } }), /takes only delay and jitter$/],
    ['no ends', 'fault', fault({ from: [] }), /^spec.from: Required value: link.delay needs node names$/],
    ['a node on both sides', 'fault', fault({ to: ['n1', 'n3'] }), /^spec.to: .*"n1" is on both sides$/],
    ['which node', 'fault', { type: 'node.kill', duration: '1s' }, /^spec.node: Required value/],
    ['a load', 'load', load({}), undefined],
    ['tcp', 'load', load({ url: 'tcp://echo:9000', bytes: '4KiB', rate: '600/m' }), undefined],
    ['a bare rate', 'load', load({ rate: '20' }), /^spec.rate: .*the unit is missing: 20\/s$/],
    ['rate of nothing', 'load', load({ rate: '0/s' }), /^spec.rate: /],
    ['no scheme', 'load', load({ url: 'echo:80/x' }), /^spec.url: .*a scheme is missing: http:\/\/echo:80\/x/],
    ['TLS is the mesh’s', 'load', load({ url: 'https://echo' }), /^spec.url: .*the mesh adds the TLS/],
    ['tcp without a port', 'load', load({ url: 'tcp://echo' }), /^spec.url: .*tcp:\/\/ needs a port/],
    ['an unknown sender', 'load', load({ from: 'job/x' }), /^spec.from: .*want deploy\/NAME/],
    ['zero duration', 'load', load({ duration: '0s' }), /^spec.duration: /],
    ['bare bytes', 'load', load({ bytes: '4096' }), /^spec.bytes: .*the unit is missing: 4096B$/],
    ['nodes of a lab', 'lab', { nodes: [{ name: 'n1' }, { name: 'n2' }] }, undefined],
    [
      'a node twice',
      'lab',
      { nodes: [{ name: 'n1' }, { name: 'n1' }] },
      /^spec.nodes\[1\].name: Duplicate value: "n1"$/,
    ],
    [
      'a link to nowhere',
      'lab',
      { nodes: [{ name: 'n1' }], links: [{ from: 'n1', to: 'n9', impair: {} }] },
      /^spec.links\[0\].to: Not found: "n9"/,
    ],
    ['null is absent for rules too', 'authorizationpolicy', { selector: null, rules: null }, undefined],
    ['an empty policy denies all, and is fine', 'authorizationpolicy', {}, undefined],
    [
      'two attachments',
      'authorizationpolicy',
      { selector: { matchLabels: {} }, targetRefs: [{ kind: 'Service', name: 'a' }] },
      /^spec: .*only one of targetRefs or selector/,
    ],
    [
      'a condition without values',
      'authorizationpolicy',
      { rules: [{ when: [{ key: 'source.ip' }] }] },
      /^spec.rules\[0\].when\[0\]: Required value/,
    ],
    [
      'ports need a selector',
      'peerauthentication',
      { portLevelMtls: { 80: { mode: 'STRICT' } } },
      /^spec.portLevelMtls/,
    ],
  ])('%s', (_, kind, spec, expected) => {
    const errors = errorsOf(kind, { spec })
    if (expected === undefined) expect(errors).toEqual([])
    else expect(errors).toEqual([expect.stringMatching(expected)])
  })
})

test('paths are written and read alike', () => {
  const steps = ['spec', 'ports', '0', 'labels', 'istio.io/rev', 'a-b']
  expect(steps.reduce((path, step) => (step === '0' ? `${path}[0]` : childPath(path, step)), '')).toBe(
    'spec.ports[0].labels[istio.io/rev].a-b',
  )
  expect(splitPath('spec.ports[0].labels[istio.io/rev].a-b')).toEqual(steps)
})

function fault(spec: object): object {
  return { type: 'link.delay', from: ['n1'], to: ['n2'], params: { delay: '120ms' }, duration: '1m', ...spec }
}

function load(spec: object): object {
  return { from: 'deploy/curl', url: 'http://productpage:9080/', rate: '20/s', ...spec }
}

describe('an L4TrafficPolicy', () => {
  const targetRefs = [{ kind: 'Service', name: 'web' }]
  test.each<[string, object, RegExp | undefined]>([
    ['everything', { maxConnections: 1, connectTimeout: '2s', connectRetries: 0, outlierDetection: {} }, undefined],
    ['a rate', { rateLimit: { local: { connections: 1 }, global: { connections: 10, per: '1m' } } }, undefined],
    ['no target', { targetRefs: [] }, /spec\.targetRefs/],
    ['a target of another kind', { targetRefs: [{ kind: 'Pod', name: 'web' }] }, /spec\.targetRefs\[0\]\.kind/],
    ['a duration without a unit', { idleTimeout: '5' }, /spec\.idleTimeout.*a unit is missing: 5s or 5ms/],
    ['no duration', { rateLimit: { local: { connections: 1, per: 'soon' } } }, /spec\.rateLimit\.local\.per/],
    ['a rate of nothing', { rateLimit: { global: { connections: 0 } } }, /spec\.rateLimit\.global\.connections/],
    ['retries without end', { connectRetries: 11 }, /spec\.connectRetries/],
    ['more than all', { outlierDetection: { maxEjectionPercent: 101 } }, /maxEjectionPercent/],
  ])('with %s', (_, fields, finding) => {
    const errors = errorsOf('l4trafficpolicy', { spec: { targetRefs, ...fields } })
    if (finding) expect(errors.join('\n')).toMatch(finding)
    else expect(errors).toEqual([])
  })
})
