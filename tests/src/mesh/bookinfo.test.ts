import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Connection, connections, get, processes } from './objects.ts'

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', 'demo', '--wait')
})

afterAll(() => lab[Symbol.asyncDispose]())

const sa = (name: string) => `spiffe://cluster.local/ns/default/sa/${name}`

describe('Bookinfo through the mesh', () => {
  test('the product page answers with details and reviews', async () => {
    const { stdout } = await lab.run([
      'exec',
      'deploy/curl',
      '--',
      'curl',
      '-sS',
      'http://productpage:9080/productpage',
    ])
    expect(stdout).toContain('<html')
    expect(stdout).toMatch(/Comedy of Errors/)
  })

  test.each([
    ['http://details:9080/details/0', /"id":\s*0.*"author"/s],
    ['http://ratings:9080/ratings/0', /"ratings":\s*\{/],
    ['http://reviews.default.svc.cluster.local:9080/reviews/0', /"reviews":/],
    ['http://productpage.default:9080/api/v1/products', /"title"/],
  ])('%s answers the JSON of the real one', async (url, pattern) => {
    expect(await lab.ok('exec', 'deploy/curl', '--', 'curl', '-sS', url)).toMatch(pattern)
  })

  test('each hop is an HBONE connection with the identities of both workloads', async () => {
    for (let call = 0; call < 12; call += 1)
      expect((await get(lab, 'http://productpage:9080/productpage')).stdout).toBe('200')
    const hops: [string, string, string][] = [
      ['curl', 'bookinfo-productpage', 'productpage'],
      ['bookinfo-productpage', 'bookinfo-details', 'details'],
      ['bookinfo-productpage', 'bookinfo-reviews', 'reviews'],
      ['bookinfo-reviews', 'bookinfo-ratings', 'ratings'],
    ]
    const seen = await connections(lab)
    for (const [source, destination, service] of hops) {
      const halves = seen.filter(
        (each) => each.source.identity === sa(source) && each.destination.identity === sa(destination),
      )
      expect(new Set(halves.map(({ protocol }) => protocol)), `${source} to ${destination}`).toEqual(new Set(['HBONE']))
      expect(halves.map(({ direction }) => direction)).toEqual(expect.arrayContaining(['outbound', 'inbound']))
      expect(halves.some((each) => each.destination.service === `${service}.default.svc.cluster.local`)).toBe(true)
    }
  })

  test('both halves of a connection share one trace id, and each is recorded once', async () => {
    const seen = (await connections(lab)).filter(({ protocol }) => protocol === 'HBONE')
    const byTrace = Map.groupBy(seen, ({ traceId }) => traceId)
    const doubled = [...byTrace.values()].filter(
      (halves) => halves.filter(({ direction }) => direction === 'outbound').length > 1,
    )
    expect(doubled).toEqual([])
    expect(new Set(seen.map(({ id, direction }: Connection) => `${direction} ${id}`)).size).toBe(seen.length)
  })

  test('the access log is ztunnel’s line', async () => {
    const lines = ['n1', 'n2', 'n3']
      .flatMap((name) => lab.log(`node-${name}`).split('\n'))
      .filter((line) => line.includes('\taccess\tconnection complete\t'))
    expect(lines.length).toBeGreaterThan(0)
    for (const key of [
      'src.addr=',
      'src.workload=',
      'src.identity=',
      'dst.addr=',
      'dst.hbone_addr=',
      'dst.identity=',
      'direction=',
      'bytes_sent=',
      'bytes_recv=',
      'duration=',
    ]) {
      expect(lines[0]).toContain(key)
    }
  })
})

test('an unknown host is refused with a reason that curl shows', async () => {
  const { code, stderr } = await get(lab, 'http://nobody.default.svc.cluster.local/')
  expect(code).not.toBe(0)
  expect(stderr).not.toBe('')
})

test('every process of the lab is listed with role, pid and ports', async () => {
  const found = await processes(lab)
  expect(found.map(({ role, name }) => `${role} ${name}`)).toEqual(
    expect.arrayContaining(['node-agent n1', 'node-agent n2', 'node-agent n3']),
  )
  expect(found.map(({ role }) => role)).toEqual(expect.arrayContaining(['control-plane', 'supervisor']))
  expect(found.every(({ alive, pid }) => alive && pid > 0)).toBe(true)
})
