import { defineWorkload, text } from '../hosting/workload.ts'

/** Istio's helloworld v1 and v2. */
export default defineWorkload({
  name: 'helloworld',
  images: ['examples-helloworld-v1', 'examples-helloworld-v2'],
  ports: () => [5000],
  create: ({ container, env, pod }) => {
    const version = env.SERVICE_VERSION ?? /helloworld-(v\d+)/.exec(container.image)?.[1] ?? 'unknown'
    const html = 'text/html; charset=utf-8'
    return {
      http: ({ path }) => {
        if (path === '/hello')
          return text(200, `Hello version: ${version}, instance: ${env.HOSTNAME ?? pod.name}\n`, html)
        if (path === '/health') return text(200, 'Helloworld is healthy', html)
        return text(404, 'Not Found\n')
      },
    }
  },
})
