/**
 * One proxy of a pair, as its own process. `source`: plain TCP in, one HBONE stream per connection out.
 * `destination`: HBONE in, plain TCP out. Prints its port; a line on stdin makes it print its memory.
 */
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { privateKeyFromPem, TrustBundle, X509Svid } from '@ambient-lab/pki'
import { systemClock } from '@ambient-lab/std'
import { Copy, dialNodeStream, NodeStream } from '../src/stream/index.ts'
import { TunnelPool, TunnelServer, WsMtlsTransport } from '../src/tunnel/index.ts'

const [role, folder, targetPort] = process.argv.slice(2)
const svid = new X509Svid({
  chainPem: readFileSync(`${folder}/chain.pem`, 'utf8'),
  privateKey: privateKeyFromPem(readFileSync(`${folder}/key.pem`, 'utf8')),
  bundle: TrustBundle.parse('cluster.local', readFileSync(`${folder}/roots.pem`, 'utf8')),
})
const svids = { clientSvid: async () => svid, serverSvid: async () => svid }
const transport = new WsMtlsTransport({ clock: systemClock, svids })
const target = { host: '127.0.0.1', port: Number(targetPort) }

if (role === 'source') await runSource()
else await runDestination()
process.on('SIGINT', () => process.exit(0)) // a CPU profile is written at an exit, not at a kill
process.stdin.on('data', () => {
  globalThis.gc?.()
  console.log(process.memoryUsage().rss)
})

async function runSource(): Promise<void> {
  const pool = new TunnelPool({ transport, clock: systemClock })
  const poolTarget = {
    source: svid.id,
    sourceIp: '10.244.0.2',
    address: target,
    serverName: '10-244-1-5.default.pod.cluster.local',
    expectedIds: [svid.id],
    fromNode: 'a',
    toNode: 'b',
  }
  const request = {
    authority: '10.244.1.5:9080',
    baggage: 'k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=curl,service.name=curl',
    forwarded: 'for="10.244.0.2:41000";host=reviews.default.svc.cluster.local',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
  }
  const serve = async (socket: Socket) => {
    const downstream = new NodeStream(socket)
    const { stream } = await pool.connect(poolTarget, request)
    await new Copy(downstream, stream).result
  }
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
    (socket) => void serve(socket),
  )
  server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port))
}

async function runDestination(): Promise<void> {
  const server = new TunnelServer(
    { transport, clock: systemClock },
    {
      host: '127.0.0.1',
      port: 0,
      node: 'b',
      onConnect: async (inbound) => {
        const upstream = await dialNodeStream(target)
        await new Copy(inbound.accept('service.name=reviews'), upstream).result
      },
    },
  )
  await server.start()
  console.log(server.address.port)
}
