import type { Handler, ResourceRequest } from '../api-request.ts'
import { isTrue } from '../router.ts'
import { badRequest, revisionTooLarge } from '../status-error.ts'
import { WatchStream } from '../watch-stream.ts'
import { parseRevision } from './list.ts'
import { parseSelection } from './selection.ts'

/** Streams changes; begins with everything there is unless the caller says what it knows already. */
export const watchObjects: Handler = (request, { store, clock, watches }) => {
  watches.checkRoom()
  const { kind, route, query, rendering, response } = request
  const selection = parseSelection(query, route.name)
  const asked = parseRevision(query.get('resourceVersion'))
  if (asked !== undefined && asked > store.revision) throw revisionTooLarge(asked, store.revision)
  const sendInitial = parseSendInitialEvents(query)
  const wantsInitial = sendInitial ?? (asked === undefined || asked === 0)
  const namespace = route.namespace === undefined ? {} : { namespace: route.namespace }
  const initial = wantsInitial ? store.list(kind.type, namespace).filter(selection.matches) : undefined
  const bookmarks = isTrue(query.get('allowWatchBookmarks'))
  new WatchStream(
    {
      rendering,
      matches: (object) =>
        (route.namespace === undefined || object.metadata.namespace === route.namespace) && selection.matches(object),
      ...(initial && { initial }),
      after: initial || asked === undefined ? store.revision : asked,
      bookmarks,
      initialBookmark: sendInitial === true && bookmarks,
      ...timeout(request),
    },
    { store, clock, response, registry: watches },
  ).start()
  return 'streamed'
}

/** @throws StatusError 400; undefined when the caller does not say, which leaves it to resourceVersion */
function parseSendInitialEvents(query: URLSearchParams): boolean | undefined {
  const parameter = query.get('sendInitialEvents')
  if (parameter === null) return undefined
  if (query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
  return isTrue(parameter)
}

function timeout({ query }: ResourceRequest): { timeoutMs?: number } {
  const parameter = query.get('timeoutSeconds')
  if (parameter === null || parameter === '') return {}
  if (!/^\d{1,9}$/.test(parameter)) throw badRequest(`invalid timeoutSeconds: ${JSON.stringify(parameter)}`)
  return parameter === '0' ? {} : { timeoutMs: Number(parameter) * 1000 }
}
