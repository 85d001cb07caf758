import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { defineWorkload, type WorkloadContext } from '../hosting/workload.ts'
import { OidcIssuer } from './_oidc-issuer.ts'

const PORT_DEFAULT = 80
const ROTATE_PATH = /^\/ambient\/rotate-keys(?:\?(?<query>.*))?$/

/**
 * An identity provider: discovery, JWKS, client credentials, and tokens about anybody without a password. Environment:
 * `ISSUER` (else by the pod's `app` label and namespace), `CLIENT_ID` and `CLIENT_SECRET` (both `lab`), `SCOPES`.
 * `POST /ambient/rotate-keys` signs with a new key from then on, `?drop=true` makes the old ones unknown.
 */
export default defineWorkload({
  name: 'oidc-provider',
  images: ['ambient-lab/oidc-provider'],
  ports: () => [PORT_DEFAULT],
  create: (context) => {
    const issuer = new OidcIssuer({
      issuer: context.env.ISSUER ?? issuerOf(context),
      clientId: context.env.CLIENT_ID ?? 'lab',
      clientSecret: context.env.CLIENT_SECRET ?? 'lab',
      scopes: (context.env.SCOPES ?? 'read write admin').split(/[ ,]+/),
    })
    const server = createServer((request, response) => {
      serve(issuer, request, response).catch((error: unknown) => {
        context.log(`unhandled error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
        response.writeHead(500).end()
      })
    })
    return { tcp: (socket) => void server.emit('connection', socket) }
  },
})

function issuerOf({ pod, container }: WorkloadContext): string {
  const port = container.ports[0] ?? PORT_DEFAULT
  const host = `${pod.labels.app ?? pod.name}.${pod.namespace}.svc.cluster.local`
  return port === PORT_DEFAULT ? `http://${host}` : `http://${host}:${port}`
}

async function serve(issuer: OidcIssuer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const rotate = request.method === 'POST' ? ROTATE_PATH.exec(request.url ?? '') : null
  if (!rotate) return issuer.handle(request, response)
  const drop = new URLSearchParams(rotate.groups?.query).get('drop') === 'true'
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ keys: issuer.rotateKeys(!drop) }))
}
