import { systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AdminServers, type AdminSource } from './admin.ts'
import { Profiles } from './profiles.ts'

let pending: string[] = []
let level = 'info'
let quits = 0
const source: AdminSource = {
  title: 'ztunnel on n1',
  configDump: () => ({ workloads: [], version: 'x' }),
  certificates: () => [{ identity: 'spiffe://cluster.local/ns/a/sa/b' }],
  connections: () => ({ connections: [] }),
  metrics: () => '# TYPE istio_build gauge\nistio_build 1\n',
  pending: () => pending,
  logLevel: {
    current: () => level,
    set: (text) => {
      if (text !== 'debug') return false
      level = text
      return true
    },
    reset: () => {
      level = 'info'
    },
  },
  profiles: new Profiles({ clock: systemClock }),
  quit: () => {
    quits += 1
  },
}

let servers: AdminServers
beforeEach(async () => {
  pending = []
  level = 'info'
  quits = 0
  servers = await AdminServers.listen(source, { host: '127.0.0.1', ports: { admin: 0, metrics: 0, ready: 0 } })
})
afterEach(() => servers[Symbol.asyncDispose]())

async function ask(server: 'admin' | 'metrics' | 'ready', path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${servers.ports[server]}${path}`, { method })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

describe('admin', () => {
  test.each([
    ['/config_dump', '"version": "x"'],
    ['/certs', 'spiffe://cluster.local/ns/a/sa/b'],
    ['/connections', '"connections": []'],
    ['/', '<h1>ztunnel on n1</h1>'],
  ])('GET %s', async (path, part) => {
    const { status, text } = await ask('admin', path)
    expect(status).toBe(200)
    expect(text).toContain(part)
    expect((await ask('admin', path, 'POST')).status).toBe(405)
  })

  test('an unknown path is not found', async () => {
    expect((await ask('admin', '/nope')).status).toBe(404)
  })

  test('POST /quitquitquit asks for the end, GET does not', async () => {
    expect((await ask('admin', '/quitquitquit')).status).toBe(405)
    expect(quits).toBe(0)
    expect((await ask('admin', '/quitquitquit', 'POST')).status).toBe(200)
    expect(quits).toBe(1)
  })
})

describe('profiles', () => {
  test('of time and of memory, one at a time', async () => {
    const cpu = ask('admin', '/debug/pprof/profile?seconds=1&frequency=1000')
    await eventually(async () => expect((await ask('admin', '/debug/pprof/heap?seconds=1')).status).toBe(503))
    const { nodes, samples } = JSON.parse((await cpu).text)
    expect(nodes.length).toBeGreaterThan(1)
    expect(samples.length).toBeGreaterThan(1)
    const heap = await ask('admin', '/debug/pprof/heap?seconds=1')
    expect(JSON.parse(heap.text).head).toBeDefined()
  })

  test.each([
    '/debug/pprof/profile?seconds=0',
    '/debug/pprof/profile?frequency=many',
    '/debug/pprof/heap?seconds=301',
    '/debug/pprof/heap?seconds=1.5',
  ])('not of %s', async (path) => {
    expect((await ask('admin', path)).status).toBe(400)
  })
})

describe('logging', () => {
  test.each([
    ['/logging', 'POST', 200, 'current log level is info\n'],
    ['/logging?level=debug', 'POST', 200, 'current log level is debug\n'],
    ['/logging?level=debug&reset', 'POST', 200, 'current log level is debug\n'],
    ['/logging?level=loud', 'POST', 400, 'usage: POST /logging'],
    ['/logging', 'GET', 405, 'usage: POST /logging'],
  ])('%s %s', async (path, method, status, part) => {
    const answer = await ask('admin', path, method)
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(part)])
  })
})

describe('metrics', () => {
  test.each(['/metrics', '/stats/prometheus'])('%s', async (path) => {
    const answer = await ask('metrics', path)
    expect(answer.text).toContain('istio_build 1')
    expect(answer.type).toContain('version=0.0.4')
  })
})

describe('readiness', () => {
  test('ready, and not ready with what is missing', async () => {
    expect(await ask('ready', '/healthz/ready')).toMatchObject({ status: 200, text: 'ready\n' })
    pending = ['control plane', 'state']
    expect(await ask('ready', '/healthz/ready')).toMatchObject({
      status: 500,
      text: 'not ready, pending: control plane, state\n',
    })
    expect((await ask('ready', '/healthz/ready', 'POST')).status).toBe(405)
    expect((await ask('ready', '/')).status).toBe(404)
  })
})

test('a taken port is named, and nothing stays open', async () => {
  const ports = { admin: 0, metrics: 0, ready: servers.ports.ready }
  await expect(AdminServers.listen(source, { host: '127.0.0.1', ports })).rejects.toMatchObject({
    code: 'ADDRESS_IN_USE',
    where: `127.0.0.1:${servers.ports.ready}`,
  })
})

test('an error behind a page is an answer, not the end of the agent', async () => {
  const broken = {
    ...source,
    configDump: () => {
      throw new Error('boom')
    },
  }
  await using own = await AdminServers.listen(broken, { host: '127.0.0.1', ports: { admin: 0, metrics: 0, ready: 0 } })
  expect((await fetch(`http://127.0.0.1:${own.ports.admin}/config_dump`)).status).toBe(500)
})
