import { objectKey, type Resource } from '@ambient-lab/api'
import type { Handler } from '../api-request.ts'
import { LIST_LIMIT_MAX } from '../limits.ts'
import { badRequest, expired, revisionTooLarge } from '../status-error.ts'
import { renderList } from '../table/representation.ts'
import { parseSelection } from './selection.ts'

/** Where the next page starts. */
interface Continuation {
  /** Of the first page. Later pages repeat it, so that a watch from there sees what changed between the pages. */
  readonly revision: number
  /** Key of the last object seen. */
  readonly after: string
}

/**
 * A list, in pages when a limit is given. Pages read what is there now, not a frozen state: each object that exists
 * all the time is in exactly one of them, and a watch from the list's revision brings the rest up to date.
 */
export const listObjects: Handler = (request, { store }) => {
  const { kind, route, query, rendering } = request
  const continuation = parseContinue(query.get('continue'))
  checkRevision(query, store.revision)
  const selection = parseSelection(query, undefined)
  const all = store.list(kind.type, route.namespace === undefined ? {} : { namespace: route.namespace })
  const rest = continuation ? all.slice(firstAfter(all, continuation.after)) : all
  const matching = selection.everything ? rest : rest.filter(selection.matches)
  const limit = parseLimit(query.get('limit'))
  const page = matching.length > limit ? matching.slice(0, limit) : matching
  const revision = continuation?.revision ?? store.revision
  const left = matching.length - page.length
  const next = left > 0 ? formatContinue({ revision, after: objectKey(page.at(-1)!.metadata) }) : undefined
  const meta = {
    resourceVersion: String(revision),
    ...(next !== undefined && { continue: next }),
    // Kubernetes tells it only where it is cheap to know, which is without selectors.
    ...(next !== undefined && selection.everything && { remainingItemCount: left }),
  }
  return { status: 200, body: renderList(page, meta, rendering) }
}

/** Binary search: the list is sorted by key. */
function firstAfter(objects: readonly Resource[], key: string): number {
  let low = 0
  let high = objects.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (objectKey(objects[middle]!.metadata) <= key) low = middle + 1
    else high = middle
  }
  return low
}

function parseLimit(parameter: string | null): number {
  if (parameter === null || parameter === '') return Number.POSITIVE_INFINITY
  if (!/^\d{1,15}$/.test(parameter)) throw badRequest(`invalid limit: ${JSON.stringify(parameter)}`)
  const limit = Number(parameter)
  return limit === 0 ? Number.POSITIVE_INFINITY : Math.min(limit, LIST_LIMIT_MAX)
}

/**
 * Reads are always of the newest state, which satisfies every wish but an exact older one.
 * @throws StatusError 410, 504
 */
export function checkRevision(query: URLSearchParams, current: number): void {
  const asked = parseRevision(query.get('resourceVersion'))
  const match = query.get('resourceVersionMatch')
  if (match !== null && match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(`invalid resourceVersionMatch: ${JSON.stringify(match)}`)
  }
  if (asked === undefined) return
  if (asked > current) throw revisionTooLarge(asked, current)
  if (match === 'Exact' && asked !== current) throw expired(`The resourceVersion for the provided list is too old.`)
}

/** @throws StatusError 400; undefined when the caller names none */
export function parseRevision(parameter: string | null): number | undefined {
  if (parameter === null || parameter === '') return undefined
  if (!/^\d{1,15}$/.test(parameter)) throw badRequest(`invalid resource version ${JSON.stringify(parameter)}`)
  return Number(parameter)
}

export function formatContinue(continuation: Continuation): string {
  return Buffer.from(JSON.stringify(continuation)).toString('base64url')
}

/** @throws StatusError 400 */
export function parseContinue(token: string | null): Continuation | undefined {
  if (token === null || token === '') return undefined
  try {
    const { revision, after } = JSON.parse(Buffer.from(token, 'base64url').toString())
    if (Number.isSafeInteger(revision) && revision >= 0 && typeof after === 'string') return { revision, after }
  } catch {
    // not a token of ours: refused below
  }
  throw badRequest('continue key is not valid')
}
