import { describe, expect, test } from 'vitest'
import { parseKubeconfig, readKubeconfig } from './kubeconfig.ts'

const b64 = (text: string) => Buffer.from(text).toString('base64')

const YAML = `apiVersion: v1
kind: Config
current-context: lab
clusters:
  - name: lab
    cluster:
      server: https://127.0.0.1:6443/
      certificate-authority-data: ${b64('the ca')}
users:
  - name: admin
    user:
      client-certificate-data: ${b64('the cert')}
      client-key-data: ${b64('the key')}
`

describe('a kubeconfig of one cluster', () => {
  const expected = { server: 'https://127.0.0.1:6443', ca: 'the ca', cert: 'the cert', key: 'the key' }

  test('as block YAML', () => {
    expect(parseKubeconfig(YAML, 'f')).toEqual(expected)
  })

  test.each([0, 2])('as JSON, indented by %i', (indent) => {
    const json = {
      clusters: [{ cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': b64('the ca') } }],
      users: [{ user: { 'client-certificate-data': b64('the cert'), 'client-key-data': b64('the key') } }],
    }
    expect(parseKubeconfig(JSON.stringify(json, null, indent), 'f')).toEqual(expected)
  })

  test('a TLS server name is not the server', () => {
    expect(parseKubeconfig(YAML.replace('      server:', '      tls-server-name: other\n      server:'), 'f')).toEqual(
      expected,
    )
  })
})

test.each([
  [YAML + YAML, /2 times "server"/],
  [YAML.replace(/client-key-data.*/, ''), /no "client-key-data"/],
  ['', /no "server"/],
])('one that cannot be meant is refused (%#)', (text, message) => {
  expect(() => parseKubeconfig(text, 'f')).toThrow(
    expect.objectContaining({ code: 'KUBECONFIG_INVALID', message: expect.stringMatching(message) }),
  )
})

test('a lab that never ran has none', () => {
  expect(() => readKubeconfig('/nowhere/kubeconfig')).toThrow(
    expect.objectContaining({ code: 'UNAVAILABLE', next: 'ambient up' }),
  )
})
