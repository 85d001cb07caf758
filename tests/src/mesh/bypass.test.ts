import { eventually } from '@ambient-lab/testing'
import { AmbientLab, EchoConnection, type LoadTarget } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connections, items } from './objects.ts'

const echo = (name: string, annotations: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: mesh, labels: { app: ${name} }, annotations: ${annotations} }
spec: { nodeName: n2, containers: [{ name: echo, image: istio/tcp-echo-server, ports: [{ containerPort: 9000 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: mesh }
spec: { selector: { app: ${name} }, ports: [{ name: tcp, port: 9000 }] }
`
const caller = (name: string, namespace: string, annotations: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, annotations: ${annotations} }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
`
/** STRICT: what comes in plaintext into the mesh is refused, unless it passes by. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: mesh, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Namespace
metadata: { name: outside }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: elsewhere, namespace: mesh }
spec:
  hosts: [echo.elsewhere.example]
  ports: [{ number: 9000, name: tcp, protocol: TCP }]
  resolution: STATIC
  workloadSelector: { labels: { app: guarded } }
${echo('guarded', '{}')}${echo('passed-by', '{ ambient.istio.io/bypass-inbound-capture: "true" }')}
${caller('curl', 'mesh', '{}')}${caller('plain-dns', 'mesh', '{ ambient.istio.io/dns-capture: "false" }')}
${caller('stranger', 'outside', '{}')}
`
const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: mesh }
spec: { action: DENY, selector: { matchLabels: { app: passed-by } }, rules: [{}] }
`

let lab: AmbientLab

beforeAll(async () => {
  lab = await AmbientLab.start({
    name: 'bypass',
    nodes: ['n1', 'n2'],
    world: WORLD,
    readyNamespaces: ['mesh', 'outside'],
  })
}, 60_000)

afterAll(() => lab[Symbol.asyncDispose]())

/** One line there and back. */
async function call(pod: string, namespace: string, host: string): Promise<void> {
  const [found] = (await items(lab, 'pods', '-n', namespace)).filter(({ metadata }) => metadata.name === pod)
  const { capture } = found!.status!.ambientLab as { capture: LoadTarget['capture'] }
  const connection = await EchoConnection.open({ capture, host, port: 9000 })
  await connection.echo('hello')
  connection.end()
}

async function inbound(workload: string): Promise<readonly string[]> {
  const all = await connections(lab)
  return all
    .filter(({ direction, destination }) => direction === 'inbound' && destination.workload === workload)
    .map(({ protocol, state }) => `${protocol} ${state}`)
}

test('a pod whose inbound capture is passed by takes plaintext that STRICT would refuse, and nobody sees it', async () => {
  await eventually(() => expect(call('stranger', 'outside', 'guarded.mesh')).rejects.toThrow(/closed/))
  expect(await inbound('guarded')).toContain('TCP failed')
  await call('stranger', 'outside', 'passed-by.mesh')
  expect(await inbound('passed-by')).toEqual([])
})

test('its tunnels are guarded as ever', async () => {
  await call('curl', 'mesh', 'passed-by')
  await eventually(async () => expect(await inbound('passed-by')).toEqual(['HBONE closed']))
  await lab.run(['apply', '-f', '-'], { input: DENY })
  await eventually(() => expect(call('curl', 'mesh', 'passed-by')).rejects.toThrow('SOCKS5: not allowed'))
  await call('stranger', 'outside', 'passed-by.mesh')
})

test('a pod without DNS capture knows the services of the cluster, and no ServiceEntry', async () => {
  await eventually(async () => {
    await call('curl', 'mesh', 'echo.elsewhere.example')
    return true
  })
  await expect(call('plain-dns', 'mesh', 'echo.elsewhere.example')).rejects.toThrow('SOCKS5: host unreachable')
  await call('plain-dns', 'mesh', 'guarded')
})
