import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppBench, type RunningApp } from '../test-kit/app-bench.ts'

const image = (name: string) => `registry.istio.io/release/examples-bookinfo-${name}:1.20.3`

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

async function bookinfo(version: 'v1' | 'v2' | 'v3' = 'v3'): Promise<RunningApp> {
  await bench.run('ratings', image('ratings-v1'))
  await bench.run('details', image('details-v1'))
  await bench.run('reviews', image(`reviews-${version}`))
  return bench.run('productpage', image('productpage-v1'))
}

describe('productpage', () => {
  test('shows details and starred reviews, fetched through capture', async () => {
    const productpage = await bookinfo('v3')
    const response = await productpage.fetch('/productpage')
    const html = await response.text()
    expect(response.status).toBe(200)
    expect(html).toContain('<title>Simple Bookstore App</title>')
    expect(html).toContain('PublisherA')
    expect(html).toContain('color:red')
    expect(html).toContain('<u>reviews-pod</u>')
    expect(bench.mesh.connections).toEqual([
      'productpage>details:9080',
      'productpage>reviews:9080',
      'reviews>ratings:9080',
    ])
  })

  test('opens a connection for each call, so that ztunnel balances them', async () => {
    const productpage = await bookinfo('v1')
    await productpage.fetch('/productpage').then((response) => response.text())
    await productpage.fetch('/productpage').then((response) => response.text())
    expect(bench.mesh.connections).toHaveLength(4)
  })

  test('stays a page when details and reviews are away, and asks reviews twice', async () => {
    const productpage = await bookinfo()
    bench.mesh.refused.set('details', 2).set('reviews', 5)
    const response = await productpage.fetch('/productpage')
    const html = await response.text()
    expect(response.status).toBe(200)
    expect(html).toContain('Error fetching product details!')
    expect(html).toContain('Sorry, product reviews are currently unavailable for this book.')
    expect(bench.mesh.connections).toEqual([
      'productpage>details:9080',
      'productpage>reviews:9080',
      'productpage>reviews:9080',
    ])
  })

  test.each([
    ['/api/v1/products', [expect.objectContaining({ id: 0, title: 'The Comedy of Errors' })]],
    ['/api/v1/products/0', expect.objectContaining({ id: 0, author: 'William Shakespeare', 'ISBN-10': '1234567890' })],
    ['/api/v1/products/0/ratings', { id: 0, ratings: { Reviewer1: 5, Reviewer2: 4 } }],
    ['/api/v1/products/0/reviews', expect.objectContaining({ id: '0', podname: 'reviews-pod', clustername: 'null' })],
  ])('%s answers as the real one', async (path, expected) => {
    const productpage = await bookinfo()
    const response = await productpage.fetch(path)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual(expected)
  })

  test('passes the status of a service that fails on to API callers', async () => {
    const productpage = await bookinfo()
    bench.mesh.refused.set('details', 5)
    const response = await productpage.fetch('/api/v1/products/0')
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      error: 'Sorry, product details are currently unavailable for this book.',
    })
  })

  test('carries trace context and the user to the services behind', async () => {
    await bench.run('details', 'echo', { ports: [9080] })
    const productpage = await bench.run('productpage', image('productpage-v1'))
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const response = await productpage.fetch('/api/v1/products/0', {
      headers: { traceparent, 'x-request-id': 'r-1', b3: '1-2-1', cookie: 'user=jason', 'x-other': 'no' },
    })
    const { headers } = (await response.json()) as { headers: Record<string, string[]> }
    expect(headers).toMatchObject({ Traceparent: [traceparent], 'X-Request-Id': ['r-1'], B3: ['1-2-1'] })
    expect(headers['End-User']).toEqual(['jason'])
    expect(headers).not.toHaveProperty('X-Other')
  })

  test('signs in without a password and refuses a name that could break a header', async () => {
    const productpage = await bench.run('productpage', image('productpage-v1'))
    const login = (username: string) =>
      productpage.fetch('/login', { method: 'POST', body: new URLSearchParams({ username }) })
    const response = await login('jason')
    expect(response.status).toBe(302)
    expect(response.headers.get('set-cookie')).toContain('user=jason;')
    expect((await login('a\r\nx: y')).status).toBe(400)
  })

  test('finds its services where the samples’ variables say', async () => {
    await bench.run('details.books', image('details-v1'), { ports: [7000] })
    const productpage = await bench.run('productpage', image('productpage-v1'), {
      env: { SERVICES_DOMAIN: 'books', DETAILS_SERVICE_PORT: '7000' },
    })
    expect((await productpage.fetch('/api/v1/products/0')).status).toBe(200)
  })
})

describe('reviews', () => {
  test.each([
    ['v1', undefined],
    ['v2', { stars: 5, color: 'black' }],
    ['v3', { stars: 5, color: 'red' }],
  ])('%s has its stars', async (version, rating) => {
    await bench.run('ratings', image('ratings-v1'))
    const reviews = await bench.run('reviews', image(`reviews-${version}`))
    const body = (await (await reviews.fetch('/reviews/0')).json()) as { reviews: { rating?: unknown }[] }
    expect(body.reviews[0]?.rating).toEqual(rating)
    expect(body.reviews).toHaveLength(2)
  })

  test('says so when ratings are away', async () => {
    const reviews = await bench.run('reviews', image('reviews-v2'))
    const body = (await (await reviews.fetch('/reviews/0')).json()) as { reviews: { rating?: unknown }[] }
    expect(body.reviews[0]?.rating).toEqual({ error: 'Ratings service is currently unavailable' })
  })
})

describe('ratings', () => {
  test('POST replaces, and refuses what is no JSON', async () => {
    const ratings = await bench.run('ratings', image('ratings-v1'))
    const post = (body: string) => ratings.fetch('/ratings/0', { method: 'POST', body })
    expect(await (await post('{"Reviewer1":1}')).json()).toEqual({ id: 0, ratings: { Reviewer1: 1 } })
    expect(await (await ratings.fetch('/ratings/0')).json()).toEqual({ id: 0, ratings: { Reviewer1: 1 } })
    expect((await post('{')).status).toBe(400)
    expect((await ratings.fetch('/ratings/')).status).toBe(400)
  })

  test('v2 has no database here', async () => {
    const ratings = await bench.run('ratings', image('ratings-v2'))
    expect(await (await ratings.fetch('/ratings/0')).json()).toEqual({ error: 'could not connect to ratings database' })
  })
})

test.each([
  ['details', 'details-v1', { status: 'Details is healthy' }],
  ['reviews', 'reviews-v1', { status: 'Reviews is healthy' }],
  ['ratings', 'ratings-v1', { status: 'Ratings is healthy' }],
])('%s is healthy', async (name, version, expected) => {
  const app = await bench.run(name, image(version))
  expect(await (await app.fetch('/health')).json()).toEqual(expected)
})

test('each request leaves one line in the log', async () => {
  const details = await bench.run('details', image('details-v1'))
  await (await details.fetch('/details/0?x=1')).text()
  await expect.poll(() => details.container.log.tail(1)[0]).toMatch(/^GET \/details\/0\?x=1 HTTP\/1\.1 200 \d+ \d+ms$/)
})
