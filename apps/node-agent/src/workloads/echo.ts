import { defineWorkload, json } from '../hosting/workload.ts'

/**
 * Says what it received and who it is, in the shape of Gateway API's echo-basic, whose conformance suite reads it.
 * @see https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/echo-basic
 */
export default defineWorkload({
  name: 'echo',
  images: ['echo', 'conformance/echo-basic', 'ambient-lab/echo'],
  ports: ({ env }) => [Number(env.HTTP_PORT ?? 3000)],
  create: ({ pod, env, log }) => ({
    http: async (request) => {
      const headers: Record<string, string[]> = {}
      for (let index = 0; index < request.rawHeaders.length; index += 2) {
        const name = canonicalHeader(request.rawHeaders[index]!)
        if (name === 'Host') continue
        headers[name] ??= []
        headers[name].push(request.rawHeaders[index + 1]!)
      }
      const status = Number(request.headers['x-echo-set-status'] ?? request.query.get('status') ?? 200)
      log(`echoing ${request.method} ${request.target}`)
      return json(status >= 200 && status < 600 ? status : 200, {
        path: request.target,
        host: request.headers.host ?? '',
        method: request.method,
        proto: 'HTTP/1.1',
        headers,
        namespace: env.NAMESPACE ?? pod.namespace,
        ingress: env.INGRESS_NAME ?? '',
        service: env.SERVICE_NAME ?? '',
        pod: env.POD_NAME ?? pod.name,
      })
    },
  }),
})

/** Go's canonical form: `x-request-id` → `X-Request-Id`. */
export function canonicalHeader(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
}
