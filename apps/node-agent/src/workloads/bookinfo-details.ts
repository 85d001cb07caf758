import { defineWorkload, json } from '../hosting/workload.ts'
import { BOOKINFO_PORT } from './_bookinfo.ts'

/** Bookinfo's details: one book, whatever the number. It never asks the external book service of v2. */
export default defineWorkload({
  name: 'bookinfo-details',
  images: ['examples-bookinfo-details-v1', 'examples-bookinfo-details-v2'],
  ports: () => [BOOKINFO_PORT],
  create: () => ({
    http: ({ path }) => {
      if (path === '/health') return json(200, { status: 'Details is healthy' })
      if (!path.startsWith('/details')) return json(404, { error: 'not found' })
      const id = path.split('/').at(-1)!
      if (!/^\d+$/.test(id)) return json(400, { error: 'please provide numeric product id' })
      return json(200, {
        id: Number(id),
        author: 'William Shakespeare',
        year: 1595,
        type: 'paperback',
        pages: 200,
        publisher: 'PublisherA',
        language: 'English',
        'ISBN-10': '1234567890',
        'ISBN-13': '123-1234567890',
      })
    },
  }),
})
