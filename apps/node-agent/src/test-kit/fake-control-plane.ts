import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { CertificateAuthority } from '@ambient-lab/pki'
import { CodedError, systemClock } from '@ambient-lab/std'
import {
  createWsLinkAcceptor,
  DiscoverySession,
  type EventReport,
  type Hello,
  type LoadProgress,
  NODE_TYPE,
  type Reject,
  type Report,
  VersionedResources,
  type WorkloadReport,
} from '@ambient-lab/xds'
import type { JoinToken } from '../join.ts'

export interface PostedJoin {
  readonly secret: string
  readonly node: string
  readonly csrPem: string
  readonly version: string
}

export interface JoinAnswer {
  readonly status: number
  readonly body: unknown
}

/**
 * A control plane for tests: /cacerts, /join, and the link over mutual TLS, with the real protocol and a real
 * authority behind it. What it serves is in `resources`; what it heard is in the other fields.
 */
export class FakeControlPlane {
  readonly authority: CertificateAuthority
  readonly resources = new VersionedResources()
  readonly posted: PostedJoin[] = []
  readonly hellos: Hello[] = []
  readonly workloads = new Map<string, WorkloadReport>()
  readonly events: EventReport[] = []
  readonly loads = new Map<string, LoadProgress>()
  readonly rejects: Reject[] = []
  /** The link of the agent that connected last. */
  session: DiscoverySession | undefined
  /** What /cacerts shows. */
  rootsPem: readonly string[]
  /** How /join answers; the default signs. */
  answerJoin: (posted: PostedJoin) => JoinAnswer
  /** Set: every hello is refused with it. */
  refusal: CodedError | undefined
  readonly #server: Server

  constructor(authority: CertificateAuthority = CertificateAuthority.create({ clock: systemClock })) {
    this.authority = authority
    this.rootsPem = authority.rootsPem
    this.answerJoin = (posted) => this.sign(posted)
    const { chainPem, keyPem } = authority.issueServer({ commonName: 'fake', ipAddresses: ['127.0.0.1'] })
    const tls = { cert: chainPem.join(''), key: keyPem, ca: [...authority.rootsPem], requestCert: true }
    this.#server = createServer({ ...tls, rejectUnauthorized: false }, (request, response) =>
      this.#serve(request, response),
    )
    const acceptor = createWsLinkAcceptor(systemClock, (link) => this.#accept(link))
    this.#server.on('upgrade', (request, socket: Duplex, head) => {
      if ((socket as TLSSocket).authorized) acceptor.accept(request, socket, head)
      else socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n')
    })
  }

  /** @param port of an earlier life, so that agents find this one again */
  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`
  }

  token(change: Partial<JoinToken> = {}): JoinToken {
    return { api: this.url, caPin: this.authority.rootFingerprint, secret: 's3cret', node: 'n1', ...change }
  }

  /** The token as a person gets it. */
  tokenText(node: string): string {
    const { api, caPin, secret } = this.token()
    return `al1.${Buffer.from(JSON.stringify({ u: api, ca: caPin, s: secret, n: node })).toString('base64url')}`
  }

  sign({ csrPem, node }: PostedJoin): JoinAnswer {
    const { chainPem, rootsPem } = this.authority.signNode(csrPem, node)
    return { status: 200, body: { certificatePem: chainPem.join(''), rootsPem: rootsPem.join('') } }
  }

  close(): Promise<void> {
    this.session?.close(new CodedError('SHUTTING_DOWN', 'the test ends'))
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === '/cacerts') {
      response.end(this.rootsPem.join(''))
      return
    }
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      const posted = JSON.parse(text) as PostedJoin
      this.posted.push(posted)
      const { status, body } = this.answerJoin(posted)
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  }

  #accept(link: ConstructorParameters<typeof DiscoverySession>[0]['link']): void {
    const session = new DiscoverySession({
      link,
      resources: this.resources,
      clock: systemClock,
      handlers: {
        onHello: (hello) => {
          if (this.refusal) throw this.refusal
          this.hellos.push(hello)
          this.session = session
          const { node: name, hbone, underlay } = hello
          const podCidr = '10.244.1.0/24'
          this.resources.set(NODE_TYPE, name, { name, hbone, underlay, podCidr, status: 'HEALTHY' })
          return {
            type: 'welcome',
            version: hello.version,
            trustDomain: 'cluster.local',
            clusterId: 'Kubernetes',
            clusterDomain: 'cluster.local',
            network: '',
          }
        },
        onSign: async ({ csrPem, ttlSeconds, id }) => {
          const { chainPem, rootsPem } = this.authority.signWorkload(csrPem, ttlSeconds)
          return { type: 'signed', id, chainPem, rootsPem }
        },
        onReport: (report) => this.#hear(report),
        onReject: (reject) => this.rejects.push(reject),
        onAcknowledge: () => {},
        onClose: () => {},
      },
    })
  }

  #hear({ workloads = [], events = [], loads = [] }: Report): void {
    for (const workload of workloads) this.workloads.set(workload.uid, workload)
    for (const load of loads) this.loads.set(`${load.namespace}/${load.name}`, load)
    this.events.push(...events)
  }
}
