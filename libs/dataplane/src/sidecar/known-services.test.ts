import { expect, it } from 'vitest'
import { compileKnownServices } from './known-services.ts'

const REVIEWS = 'shop/reviews.shop.svc.cluster.local'
const API = 'other/api.example.com'

it.each<[readonly string[] | undefined, boolean, boolean]>([
  [undefined, true, true],
  [[], false, false],
  [['*/*'], true, true],
  [['shop/*'], true, false],
  [['shop/reviews.shop.svc.cluster.local'], true, false],
  [['other/reviews.shop.svc.cluster.local'], false, false],
  [['*/*.example.com'], false, true],
  [['shop/ratings.shop.svc.cluster.local', 'other/*.example.com'], false, true],
  [['shop/*', '*/api.example.com'], true, true],
])('an egress of %j knows reviews: %s, an API outside: %s', (hosts, reviews, api) => {
  const knows = compileKnownServices(hosts)
  expect([knows(REVIEWS), knows(API)]).toEqual([reviews, api])
})
