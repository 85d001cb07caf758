import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, SeededRandom, systemClock } from '@ambient-lab/std'
import { eventually, type TemporaryFolder, TestCertificates, temporaryFolder } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LabFolder } from '../lab-folder.ts'
import { Lock } from '../lock.ts'
import { inspectProcesses } from '../processes.ts'
import { FakeApi } from '../test-kit/fake-api.ts'
import { writeFakePrograms } from '../test-kit/programs.ts'
import { askSupervisor } from './protocol.ts'
import { Supervisor } from './supervisor.ts'

const { authority } = new TestCertificates()
const server = authority.issueServer({ ipAddresses: ['127.0.0.1'], commonName: 'api' })
const admin = authority.issueClient({ commonName: 'ambient-admin' })

let home: TemporaryFolder
let folder: LabFolder
let api: FakeApi
let supervisors: Supervisor[]

beforeEach(async () => {
  home = await temporaryFolder()
  folder = new LabFolder(home.path, 'demo')
  supervisors = []
  api = new FakeApi({
    ca: authority.rootsPem.join(''),
    server: { cert: server.chainPem.join(''), key: server.keyPem },
    client: { cert: admin.chainPem.join(''), key: admin.keyPem },
  })
  await api.listen()
  api.writeKubeconfig(join(home.path, 'kubeconfig'))
  api.refuse = (method, path, body) =>
    method === 'POST' && path.endsWith('/jointokens')
      ? { status: 201, body: { ...body, status: { token: `token-of-${(body!.spec as { node: string }).node}` } } }
      : undefined
})

afterEach(async () => {
  await Promise.allSettled(supervisors.map((supervisor) => supervisor.shutdown()))
  for (const { pid, alive } of inspectProcesses(folder)) if (alive && pid !== process.pid) process.kill(pid, 'SIGKILL')
  await api[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

/** One in this process, over small programs that are processes of their own. */
async function supervise(nodes: readonly string[] = []): Promise<Supervisor> {
  const supervisor = new Supervisor({
    folder,
    machine: 'here',
    programs: writeFakePrograms(home.path),
    nodes,
    components: { clock: systemClock, random: new SeededRandom(1), log: () => {} },
  })
  await supervisor.start()
  supervisors.push(supervisor)
  return supervisor
}

const ask = (op: 'status' | 'shutdown') => askSupervisor(folder.socket, { op })
const start = (...nodes: string[]) => askSupervisor(folder.socket, { op: 'start', nodes })
const restart = (role: 'control-plane' | 'node-agent', name: string) =>
  askSupervisor(folder.socket, { op: 'restart', target: { role, name } })

async function stateOf(name: string): Promise<string | undefined> {
  return (await ask('status')).find((entry) => entry.name === name)?.state
}

async function pidOf(name: string): Promise<number> {
  const pid = (await ask('status')).find((entry) => entry.name === name)?.pid
  if (!pid) throw new Error(`${name} has no pid`)
  return pid
}

const becomes = (name: string, state: string) => eventually(async () => expect(await stateOf(name)).toBe(state))

const node = (name: string, init: { machine?: string; restartedAt?: string } = {}) =>
  api.put(`/api/v1/nodes/${name}`, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, ...(init.restartedAt ? { annotations: { 'ambient.lab/restartedAt': init.restartedAt } } : {}) },
    spec: init.machine ? { machine: init.machine } : {},
  })

const kill = (name: string, victim: string, phase: string) =>
  api.put(`/apis/ambient.lab/v1/faults/${name}`, {
    apiVersion: 'ambient.lab/v1',
    kind: 'Fault',
    metadata: { name },
    spec: { type: 'node.kill', node: victim, duration: '1m' },
    status: { phase },
  })

/** Lines that a fake program wrote: one for each time it got as far as ready. */
function said(name: string): string[] {
  const path = join(home.path, `${name}.said`)
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

describe('what it starts', () => {
  test('the control plane and the agents at once; an agent gets its token when its Node is there', async () => {
    await supervise(['n1', 'n2'])
    expect((await ask('status')).map(({ name, state }) => `${name} ${state}`)).toEqual([
      'demo starting',
      'n1 starting',
      'n2 starting',
    ])
    await start()
    expect(await stateOf('demo')).toBe('ready')
    expect(said('n1')).toEqual([])
    node('n1')
    await becomes('n1', 'ready')
    expect(said('n1')).toEqual(['token-of-n1'])
    expect(await stateOf('n2')).toBe('starting')
  })

  test('a Node that appears is started, one that goes is stopped and forgotten', async () => {
    await supervise()
    await start()
    node('n7')
    await becomes('n7', 'ready')
    const pid = await pidOf('n7')
    api.remove('/api/v1/nodes/n7')
    await eventually(async () => expect(await stateOf('n7')).toBeUndefined())
    await eventually(() => !isAlive({ pid, startTime: '' }))
    await eventually(() => !existsSync(folder.agent('n7')))
  })

  test('nodes of other machines are left to theirs', async () => {
    await supervise()
    await start()
    node('far', { machine: 'elsewhere' })
    node('near', { machine: 'here' })
    await becomes('near', 'ready')
    expect(await stateOf('far')).toBeUndefined()
  })

  test('a program that cannot start: its own words, and its exit code', async () => {
    writeFileSync(join(home.path, 'taken'), '')
    await supervise()
    await expect(start()).rejects.toMatchObject({
      code: 'START_FAILED',
      exitCode: 73,
      message: expect.stringContaining('port 6443 is taken by process 1'),
    })
  })

  test('a second supervisor of the lab is refused by the name of the first', async () => {
    await supervise()
    await expect(supervise()).rejects.toMatchObject({
      code: 'LAB_LOCKED',
      message: expect.stringContaining('supervisor'),
    })
  })
})

describe('what dies', () => {
  test('stays dead, and `start` brings it back without a new token', async () => {
    await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    process.kill(await pidOf('n1'), 'SIGKILL')
    await becomes('n1', 'dead')
    await start()
    await becomes('n1', 'ready')
    expect(said('n1')).toEqual(['token-of-n1', 'rejoined'])
  })

  test('a control plane comes back on request, and the nodes are followed again', async () => {
    await supervise()
    await start()
    process.kill(await pidOf('demo'), 'SIGKILL')
    await becomes('demo', 'dead')
    await restart('control-plane', 'demo')
    expect(await stateOf('demo')).toBe('ready')
    node('n1')
    await becomes('n1', 'ready')
  })

  test('an API that goes away for a while changes nothing', async () => {
    await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    const pid = await pidOf('n1')
    api.cutWatches()
    node('n2')
    await becomes('n2', 'ready')
    expect(await pidOf('n1')).toBe(pid)
    expect(said('n1')).toEqual(['token-of-n1'])
  })

  test('a certificate of an earlier life is refused: the agent joins anew, once', async () => {
    await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    writeFileSync(join(home.path, 'refuse-rejoin'), '')
    await restart('node-agent', 'n1').catch(() => {})
    await eventually(() => expect(said('n1')).toEqual(['token-of-n1', 'token-of-n1']))
    await becomes('n1', 'ready')
  })
})

describe('restarts', () => {
  test('on request: another process, the same node', async () => {
    await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    const before = await pidOf('n1')
    await restart('node-agent', 'n1')
    expect(await pidOf('n1')).not.toBe(before)
    expect(await stateOf('n1')).toBe('ready')
  })

  test('when ambient.lab/restartedAt changes, and only then', async () => {
    await supervise()
    await start()
    node('n1', { restartedAt: 'one' })
    await becomes('n1', 'ready')
    node('n1', { restartedAt: 'one' })
    node('n1', { restartedAt: 'two' })
    await eventually(() => expect(said('n1')).toHaveLength(2))
    await becomes('n1', 'ready')
  })

  test('of a node that is not here: which there are', async () => {
    await supervise(['n1'])
    await expect(restart('node-agent', 'n9')).rejects.toMatchObject({
      code: 'PROCESS_UNKNOWN',
      next: expect.stringContaining('n1'),
    })
  })
})

describe('a node.kill fault', () => {
  test('kills, holds down, and starts again when it ends', async () => {
    await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    const pid = await pidOf('n1')
    kill('f-1', 'n1', 'Pending')
    kill('f-1', 'n1', 'Active')
    await becomes('n1', 'held')
    await eventually(() => !isAlive({ pid, startTime: '' }))
    await start('n1')
    expect(await stateOf('n1')).toBe('held')
    await expect(restart('node-agent', 'n1')).rejects.toMatchObject({ code: 'CONFLICT' })
    kill('f-1', 'n1', 'Ended')
    await becomes('n1', 'ready')
  })

  test('heals when it is deleted, unless another one holds the node too', async () => {
    await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    kill('f-1', 'n1', 'Active')
    kill('f-2', 'n1', 'Active')
    await becomes('n1', 'held')
    api.remove('/apis/ambient.lab/v1/faults/f-1')
    node('n2')
    await becomes('n2', 'ready')
    expect(await stateOf('n1')).toBe('held')
    api.remove('/apis/ambient.lab/v1/faults/f-2')
    await becomes('n1', 'ready')
  })
})

describe('its own end', () => {
  test('a shutdown stops agents and control plane, and lets the lab go', async () => {
    const supervisor = await supervise(['n1'])
    node('n1')
    await becomes('n1', 'ready')
    const pids = await Promise.all(['demo', 'n1'].map(pidOf))
    await ask('shutdown')
    await supervisor.ended
    expect(pids.filter((pid) => isAlive({ pid, startTime: '' }))).toEqual([])
    expect(folder.readProcesses()).toEqual([])
    expect(Lock.holder(folder.lock)).toBeUndefined()
    expect(existsSync(folder.socket)).toBe(false)
  })
})
