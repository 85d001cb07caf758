import { type AppRequest, defineWorkload } from '../hosting/workload.ts'
import { failure, HTTPBIN_ROUTES, type HttpbinContext } from './_httpbin-routes.ts'

/**
 * go-httpbin, the paths that Istio's tasks and tests use, in its JSON shapes (values of headers and arguments are lists).
 * @see https://github.com/mccutchen/go-httpbin
 */
export default defineWorkload({
  name: 'httpbin',
  images: ['mccutchen/go-httpbin', 'go-httpbin', 'kennethreitz/httpbin', 'httpbin'],
  ports: ({ image, env }) => [Number(env.PORT ?? (/kennethreitz/.test(image) ? 80 : 8080))],
  create: (context) => ({ http: (request) => dispatch(request, context) }),
})

function dispatch(request: AppRequest, context: HttpbinContext) {
  for (const { pattern, methods, answer } of HTTPBIN_ROUTES) {
    const match = pattern.exec(request.path)
    if (!match) continue
    if (methods && !methods.includes(request.method)) return failure(405)
    return answer(request, match.slice(1).map(decodeURIComponent), context)
  }
  return failure(404)
}
