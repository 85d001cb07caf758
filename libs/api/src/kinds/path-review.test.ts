import { expect, it } from 'vitest'
import { validateResource } from '../validate.ts'
import kind, { type PathReviewSpec } from './path-review.ts'

const source = { name: 'curl' }
const target = { host: 'web', port: 80 }

it.each<readonly [string, PathReviewSpec, readonly string[]]>([
  ['caller and target', { source, target }, []],
  ['caller, target and request', { source, target, request: { method: 'POST' } }, []],
  ['the id of a request', { requestId: 'x' }, []],
  ['the id of a connection', { connectionId: 'n1-1' }, []],
  ['the id of a connection, and what a waypoint is asked', { connectionId: 'n1-1', request: { method: 'POST' } }, []],
  ['two ids', { requestId: 'x', connectionId: 'n1-1' }, ['spec.connectionId']],
  ['the id of a connection and a target', { connectionId: 'n1-1', target }, ['spec.target']],
  ['nothing', {}, ['spec.source', 'spec.target']],
  ['a caller alone', { source }, ['spec.target']],
  ['an id and a caller', { requestId: 'x', source }, ['spec.source']],
  ['an id and another request', { requestId: 'x', request: {} }, ['spec.request']],
  ['an empty id', { requestId: '' }, ['spec.requestId']],
])('a PathReview asks one question: %s', (_, spec, paths) => {
  const object = { apiVersion: 'ambient.lab/v1', kind: 'PathReview', metadata: { name: 'x' }, spec }
  expect(validateResource(kind, object).errors.map(({ path }) => path)).toEqual(paths)
})
