import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRoute } from './router.ts'

const route = (line: string) => {
  const [method = '', url = ''] = line.split(' ')
  const [path = '', query = ''] = url.split('?')
  return parseRoute(method, path, new URLSearchParams(query))
}

describe('parseRoute', () => {
  it.each([
    ['GET /api/v1/pods', 'list  v1 pods - - -'],
    ['GET /api/v1/pods?watch=1', 'watch  v1 pods - - -'],
    ['GET /api/v1/pods?watch=false', 'list  v1 pods - - -'],
    ['GET /api/v1/namespaces/default/pods', 'list  v1 pods default - -'],
    ['GET /api/v1/namespaces/default/pods/a', 'get  v1 pods default a -'],
    ['GET /api/v1/namespaces/default/pods/a?watch=true', 'watch  v1 pods default a -'],
    ['GET /api/v1/namespaces/default/pods/a/log', 'get  v1 pods default a log'],
    ['POST /api/v1/namespaces/default/pods', 'create  v1 pods default - -'],
    ['POST /api/v1/namespaces/default/pods/a/eviction', 'create  v1 pods default a eviction'],
    ['GET /api/v1/namespaces', 'list  v1 namespaces - - -'],
    ['GET /api/v1/namespaces/default', 'get  v1 namespaces - default -'],
    ['PUT /api/v1/namespaces/default/status', 'update  v1 namespaces - default status'],
    ['PUT /api/v1/namespaces/default/finalize', 'update  v1 namespaces - default finalize'],
    ['GET /api/v1/namespaces/status/pods', 'list  v1 pods status - -'],
    ['DELETE /apis/ambient.lab/v1/faults', 'deletecollection ambient.lab v1 faults - - -'],
    ['DELETE /apis/ambient.lab/v1/faults/slow', 'delete ambient.lab v1 faults - slow -'],
    ['PATCH /apis/apps/v1/namespaces/a/deployments/b/scale', 'patch apps v1 deployments a b scale'],
    ['HEAD /apis/apps/v1/deployments/', 'list apps v1 deployments - - -'],
    ['GET //api//v1/nodes/n%31', 'get  v1 nodes - n1 -'],
  ])('%s', (line, expected) => {
    const parsed = route(line)
    if (parsed.type !== 'resource') throw new Error(`${line} is ${parsed.type}`)
    const { verb, group, version, resource, namespace = '-', name = '-', subresource = '-' } = parsed
    expect([verb, group, version, resource, namespace, name, subresource].join(' ')).toBe(expected)
  })

  it.each([
    ['GET /api', { type: 'groups', root: 'api' }],
    ['GET /apis', { type: 'groups', root: 'apis' }],
    ['GET /apis/apps', { type: 'group', group: 'apps' }],
    ['GET /api/v1', { type: 'resources', group: '', version: 'v1' }],
    ['GET /apis/apps/v1', { type: 'resources', group: 'apps', version: 'v1' }],
    ['GET /healthz', { type: 'plain', path: '/healthz' }],
    ['POST /join/', { type: 'plain', path: '/join' }],
    ['GET /', { type: 'plain', path: '/' }],
    ['POST /apis/apps', { type: 'error', error: 'method' }],
    ['PUT /api/v1/pods', { type: 'error', error: 'method' }],
    ['POST /api/v1/namespaces/a/pods/b', { type: 'error', error: 'method' }],
    ['TRACE /api/v1/pods', { type: 'error', error: 'method' }],
    ['GET /api/v1/namespaces/a/pods/b/log/more', { type: 'error', error: 'not-found' }],
    ['GET /api/v1/%zz', { type: 'error', error: 'bad-path' }],
    ['GET /api/v1/nodes/..', { type: 'error', error: 'bad-path' }],
    ['GET /api/v1/nodes/a%2fb', { type: 'error', error: 'bad-path' }],
  ])('%s', (line, expected) => {
    expect(route(line)).toEqual(expected)
  })

  it('answers any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.webPath(), fc.webQueryParameters(), (method, path, query) => {
        expect(parseRoute(method, path, new URLSearchParams(query)).type).toBeTypeOf('string')
        expect(parseRoute('GET', method + path, new URLSearchParams(query)).type).toBeTypeOf('string')
      }),
      { seed: 1 },
    )
  })
})
