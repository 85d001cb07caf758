import {
  type AppReply,
  type AppRequest,
  defineWorkload,
  json,
  text,
  type WorkloadContext,
} from '../hosting/workload.ts'
import { BOOKINFO_PORT, type Fetched, fetchJson, forwardedHeaders, serviceUrl } from './_bookinfo.ts'
import { renderIndex, renderProductPage, SUMMARY } from './_productpage-html.ts'

const TIMEOUT_MS = 3000

/** productpage asks reviews twice: the original has this bug on purpose, for the fault injection task. */
const REVIEWS_ATTEMPTS = 2

const PRODUCTS = [{ id: 0, title: 'The Comedy of Errors', descriptionHtml: SUMMARY }]

/** Bookinfo's productpage: a page made of details and reviews, and still a page when either is away. */
export default defineWorkload({
  name: 'bookinfo-productpage',
  images: ['examples-bookinfo-productpage-v1'],
  ports: () => [BOOKINFO_PORT],
  create: (context) => ({
    http: (request) => route(request, context),
  }),
})

async function route(request: AppRequest, context: WorkloadContext): Promise<AppReply> {
  switch (request.path) {
    case '/':
    case '/index.html':
      return html(renderIndex())
    case '/health':
      return text(200, 'Product page is healthy', 'text/html; charset=utf-8')
    case '/productpage':
      return productPage(request, context)
    case '/login':
      return login(request)
    case '/logout':
      return redirectBack(request, 'user=; Path=/; Max-Age=0')
    case '/api/v1/products':
      return json(200, PRODUCTS)
  }
  const match = /^\/api\/v1\/products\/(\d+)(?:\/(reviews|ratings))?$/.exec(request.path)
  if (!match) return text(404, 'Not Found\n')
  const [, id, part = 'details'] = match
  const { status, value } = await ask(context, part as Part, id!, headersFor(request))
  return json(status, value)
}

type Part = 'details' | 'reviews' | 'ratings'

const SORRY: Readonly<Record<Part, string>> = {
  details: 'Sorry, product details are currently unavailable for this book.',
  reviews: 'Sorry, product reviews are currently unavailable for this book.',
  ratings: 'Sorry, product ratings are currently unavailable for this book.',
}

async function ask(
  context: WorkloadContext,
  part: Part,
  id: string,
  headers: Readonly<Record<string, string>>,
): Promise<Fetched> {
  const url = `${serviceUrl(part, context.env)}/${part}/${id}`
  let answer: Fetched = { status: 500, value: undefined }
  for (let attempt = 0; attempt < (part === 'reviews' ? REVIEWS_ATTEMPTS : 1); attempt += 1) {
    answer = await fetchJson(context, url, headers, TIMEOUT_MS)
    if (answer.value !== undefined) return answer
  }
  // A 200 whose body was no JSON is as useless as no answer.
  return { status: answer.status === 200 ? 500 : answer.status, value: { error: SORRY[part] } }
}

async function productPage(request: AppRequest, context: WorkloadContext): Promise<AppReply> {
  const headers = headersFor(request)
  // One after the other, as the original does: a trace shows them in a row.
  const details = await ask(context, 'details', '0', headers)
  const reviews = await ask(context, 'reviews', '0', headers)
  return html(
    renderProductPage({ title: PRODUCTS[0]!.title, user: userOf(request), details, reviews, served: context.pod.name }),
  )
}

function headersFor(request: AppRequest): Record<string, string> {
  const headers = forwardedHeaders(request)
  const user = userOf(request)
  return user === '' ? headers : { ...headers, 'end-user': user }
}

/** The signed-in user: no password is ever checked, here or in the original. */
function userOf(request: AppRequest): string {
  const value = /(?:^|;\s*)user=([^;]*)/.exec(request.headers.cookie ?? '')?.[1] ?? ''
  return /^[\w.@-]{1,64}$/.test(value) ? value : ''
}

async function login(request: AppRequest): Promise<AppReply> {
  if (request.method !== 'POST') return text(405, 'Method Not Allowed\n')
  const form = new URLSearchParams((await request.body()).toString('utf8'))
  const user = form.get('username') ?? ''
  if (!/^[\w.@-]{1,64}$/.test(user)) return text(400, 'a user name is letters, digits and . @ - _\n')
  return redirectBack(request, `user=${user}; Path=/; HttpOnly`)
}

function redirectBack(request: AppRequest, cookie: string): AppReply {
  return {
    status: 302,
    headers: { location: request.headers.referer ?? '/productpage', 'set-cookie': cookie },
  }
}

function html(body: string): AppReply {
  return text(200, body, 'text/html; charset=utf-8')
}
