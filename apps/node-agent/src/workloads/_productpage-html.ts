import type { Fetched } from './_bookinfo.ts'

/** What Bookinfo's API calls the description of its only book. */
export const SUMMARY =
  '<a href="https://en.wikipedia.org/wiki/The_Comedy_of_Errors">Wikipedia Summary</a>: an early and short farce by <b>William Shakespeare</b> about two pairs of twins who are taken for each other, over and over again, in one day.'

const STYLE = `
  :root { color-scheme: light dark; --line: #8884; --accent: #466bb0 }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  header { display: flex; justify-content: space-between; border-bottom: 2px solid var(--accent) }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 2rem }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem } dt { font-weight: 600 } dd { margin: 0 }
  blockquote { margin: 0 0 1rem; padding-left: 1rem; border-left: 3px solid var(--line) }
  .error { border-left: 3px solid #c33; padding-left: 1rem } .star { font-size: 1.25rem } footer { color: #888 }
`

const DETAIL_LABELS: readonly (readonly [key: string, label: string])[] = [
  ['type', 'Type'],
  ['pages', 'Pages'],
  ['publisher', 'Publisher'],
  ['language', 'Language'],
  ['ISBN-10', 'ISBN-10'],
  ['ISBN-13', 'ISBN-13'],
]

export interface ProductPage {
  readonly title: string
  readonly user: string
  readonly details: Fetched
  readonly reviews: Fetched
  /** Pod that made the page. */
  readonly served: string
}

/** The page. Its title, its error headings and the reviewing pod's name are what people and scripts look for. */
export function renderProductPage(page: ProductPage): string {
  const who = page.user === '' ? signInForm() : `<p>${escapeHtml(page.user)} (<a href="/logout">sign out</a>)</p>`
  return document(`
<header><h1>${escapeHtml(page.title)}</h1>${who}</header>
<p>${SUMMARY}</p>
<main>
<section><h2>Book Details</h2>${renderDetails(page.details)}</section>
<section><h2>Book Reviews</h2>${renderReviews(page.reviews)}</section>
</main>
<footer>productpage: ${escapeHtml(page.served)}</footer>`)
}

export function renderIndex(): string {
  return document(`
<header><h1>Bookinfo</h1></header>
<p>productpage calls details and reviews; reviews v2 and v3 call ratings.</p>
<p><a href="/productpage?u=normal">Normal user</a> · <a href="/productpage?u=test">Test user</a></p>`)
}

function document(body: string): string {
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Simple Bookstore App</title><style>${STYLE}</style></head><body>${body}\n</body></html>\n`
}

function signInForm(): string {
  return '<form method="post" action="/login"><input name="username" placeholder="user name" required> <button>Sign in</button></form>'
}

function renderDetails({ value }: Fetched): string {
  const details = asRecord(value)
  if (typeof details.error === 'string') return renderError('Error fetching product details!', details.error)
  const rows = DETAIL_LABELS.map(
    ([key, label]) => `<dt>${label}</dt><dd>${escapeHtml(String(details[key] ?? ''))}</dd>`,
  )
  return `<dl>${rows.join('')}</dl>`
}

function renderReviews({ value }: Fetched): string {
  const answer = asRecord(value)
  if (typeof answer.error === 'string') return renderError('Error fetching product reviews!', answer.error)
  const reviews = Array.isArray(answer.reviews) ? answer.reviews.map(asRecord) : []
  const quotes = reviews.map(
    (review) =>
      `<blockquote><p>${escapeHtml(String(review.text))}</p><p>— ${escapeHtml(String(review.reviewer))} ${renderRating(review.rating)}</p></blockquote>`,
  )
  return `${quotes.join('')}<p>Reviews served by: <u>${escapeHtml(String(answer.podname))}</u></p>`
}

function renderRating(value: unknown): string {
  if (value === undefined) return ''
  const rating = asRecord(value)
  if (typeof rating.error === 'string') return `<em class="error">${escapeHtml(rating.error)}</em>`
  const full = Math.min(5, Math.max(0, Math.round(Number(rating.stars) || 0)))
  const color = /^[a-z]{1,20}$/.test(String(rating.color)) ? String(rating.color) : 'black'
  return `<span class="star" style="color:${color}" title="${full} of 5">${'★'.repeat(full)}${'☆'.repeat(5 - full)}</span>`
}

function renderError(heading: string, message: string): string {
  return `<div class="error"><h3>${heading}</h3><p>${escapeHtml(message)}</p></div>`
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
