import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isAlive, systemClock } from '@ambient-lab/std'
import { eventually, type TemporaryFolder, TestCertificates, temporaryFolder } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clean, down, restartProcess, type UpResult, up } from './lab.ts'
import { LabFolder } from './lab-folder.ts'
import { Lock } from './lock.ts'
import { inspectProcesses } from './processes.ts'
import { askSupervisor } from './supervisor/protocol.ts'
import { FakeApi } from './test-kit/fake-api.ts'

const { authority } = new TestCertificates()
const server = authority.issueServer({ ipAddresses: ['127.0.0.1'], commonName: 'api' })
const admin = authority.issueClient({ commonName: 'ambient-admin' })
const clock = systemClock

let home: TemporaryFolder
let folder: LabFolder
let api: FakeApi

beforeEach(async () => {
  home = await temporaryFolder()
  folder = new LabFolder(home.path, 'demo')
  api = new FakeApi({
    ca: authority.rootsPem.join(''),
    server: { cert: server.chainPem.join(''), key: server.keyPem },
    client: { cert: admin.chainPem.join(''), key: admin.keyPem },
  })
  await api.listen()
  api.writeKubeconfig(join(home.path, 'kubeconfig'))
  api.refuse = (method, path, body) =>
    method === 'POST' && path.endsWith('/jointokens')
      ? { status: 201, body: { ...body, status: { token: 'a token' } } }
      : undefined
  api.put('/api/v1/nodes/n1', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } })
})

afterEach(async () => {
  await down(folder, { clock }).catch(() => {}) // the supervisor also knows who has written no record yet
  for (const { pid, alive } of inspectProcesses(folder)) if (alive) process.kill(pid, 'SIGKILL')
  await api[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const SUPERVISOR = fileURLToPath(new URL('./test-kit/supervisor-process.ts', import.meta.url))

/** The real thing, detached supervisor and all, over small programs. */
async function bringUp(): Promise<UpResult> {
  const supervisor = [
    process.execPath,
    '--conditions=@ambient-lab/source',
    SUPERVISOR,
    home.path,
    'demo',
    'n1',
    home.path,
  ]
  const result = await up({ folder, nodes: ['n1'], supervisor, clock })
  result.client[Symbol.dispose]()
  return result
}

/** Every process of the lab, each with its record; the agent has joined, so it needs nobody any more. */
const allRunning = () =>
  eventually(() => {
    const alive = inspectProcesses(folder).filter((entry) => entry.alive)
    return alive.length === 3 && existsSync(join(folder.agent('n1'), 'join.json')) ? alive : undefined
  })

function killAll(role?: string): void {
  for (const entry of inspectProcesses(folder)) {
    if (entry.alive && (role === undefined || entry.role === role)) process.kill(entry.pid, 'SIGKILL')
  }
}

const dead = (pid: number) => eventually(() => !isAlive({ pid, startTime: '' }))

async function statusOf(name: string) {
  return (await askSupervisor(folder.socket, { op: 'status' })).find((entry) => entry.name === name)
}

describe('up', () => {
  test('starts everything and answers when the API serves; a second time it changes nothing', async () => {
    const first = await bringUp()
    expect(first.started).toBe(true)
    const before = await allRunning()
    expect(before.map(({ role }) => role)).toEqual(['supervisor', 'control-plane', 'node-agent'])
    const second = await bringUp()
    expect(second.started).toBe(false)
    expect((await allRunning()).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid))
  })

  test('called several times at once, one starts it and all get an answer', async () => {
    const results = await Promise.all([bringUp(), bringUp(), bringUp()])
    expect(results.filter(({ started }) => started)).toHaveLength(1)
    expect(await allRunning()).toHaveLength(3)
  })

  test('with the supervisor killed, a new one adopts the rest', async () => {
    await bringUp()
    const before = await allRunning()
    killAll('supervisor')
    await dead(before[0]!.pid)
    await bringUp()
    const after = await allRunning()
    expect(after.slice(1).map(({ pid }) => pid)).toEqual(before.slice(1).map(({ pid }) => pid))
    await restartProcess(folder, { role: 'node-agent', name: 'n1' })
    expect((await statusOf('n1'))?.pid).not.toBe(before[2]!.pid)
  })

  test('why a program did not start comes through, with its exit code', async () => {
    writeFileSync(join(home.path, 'taken'), '')
    await expect(bringUp()).rejects.toMatchObject({
      code: 'START_FAILED',
      exitCode: 73,
      message: expect.stringContaining('taken by process 1'),
    })
  })
})

describe('down', () => {
  test('leaves no process, no lock, no folder', async () => {
    await bringUp()
    const before = await allRunning()
    const { stopped } = await down(folder, { clock })
    expect(stopped.map(({ pid }) => pid).sort()).toEqual(before.map(({ pid }) => pid).sort())
    expect(before.filter(isAlive)).toEqual([])
    expect(folder.exists || existsSync(folder.lock)).toBe(false)
  })

  test('keeps the state when told so, and continues from there', async () => {
    await bringUp()
    await allRunning()
    await down(folder, { clock, keepState: true })
    await bringUp()
    await eventually(() => expect(said('n1')).toEqual(['a token', 'rejoined']))
  })

  test('without a supervisor it goes by the records, and kills what ignores SIGTERM', async () => {
    writeFileSync(join(home.path, 'stubborn'), '')
    await bringUp()
    const [supervisor] = await allRunning()
    killAll('supervisor')
    await dead(supervisor!.pid)
    const { stopped } = await down(folder, { clock })
    expect(stopped.filter(({ result }) => result === 'killed').map(({ role }) => role)).toEqual([
      'node-agent',
      'control-plane',
    ])
    expect(folder.exists).toBe(false)
  })

  test('and up at the same moment: the lab is up or down afterwards, not between', async () => {
    await bringUp()
    await allRunning()
    await Promise.all([down(folder, { clock }), bringUp()])
    const alive = await eventually(() => {
      const found = inspectProcesses(folder).filter((entry) => entry.alive)
      return found.length === 0 || found.length === 3 ? { count: found.length } : undefined
    })
    expect(alive.count === 0).toBe(Lock.holder(folder.lock) === undefined)
  })
})

describe('clean', () => {
  test('after SIGKILL of everything nothing is left, and the lab starts anew', async () => {
    await bringUp()
    const before = await allRunning()
    killAll()
    await Promise.all(before.map(({ pid }) => dead(pid)))
    const [result] = await clean(home.path, { clock })
    expect(result?.stale.map(({ role }) => role).sort()).toEqual(['control-plane', 'node-agent', 'supervisor'])
    expect(folder.exists).toBe(false)
    await bringUp()
    await allRunning()
  })

  test('orphans end; a stranger that has one of their pids by now does not', async () => {
    await bringUp()
    const [supervisor, ...orphans] = await allRunning()
    killAll('supervisor')
    await dead(supervisor!.pid)
    const stranger = { role: 'node-agent', name: 'old', pid: process.pid, startTime: '1', startedAt: '', ports: {} }
    writeFileSync(join(folder.processes, 'node-agent-old.json'), JSON.stringify(stranger))
    const [planned] = await clean(home.path, { clock, dryRun: true })
    expect(planned?.stopped.map(({ role }) => role).sort()).toEqual(['control-plane', 'node-agent'])
    expect(orphans.every(isAlive)).toBe(true)
    await clean(home.path, { clock })
    expect(orphans.filter(isAlive)).toEqual([])
    expect(folder.exists).toBe(false)
  })

  test('a lab whose supervisor lives is left alone, unless all are meant', async () => {
    await bringUp()
    await allRunning()
    expect(await clean(home.path, { clock })).toEqual([])
    expect(await clean(home.path, { clock, all: true })).toMatchObject([{ lab: 'demo', removed: true }])
    expect(folder.exists).toBe(false)
  })
})

function said(name: string): string[] {
  const path = join(home.path, `${name}.said`)
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}
