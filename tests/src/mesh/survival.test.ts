import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { get, isReady, isRunning, items, node, processes } from './objects.ts'

let lab: AmbientLab

beforeEach(async () => {
  lab = new AmbientLab()
  await lab.ok('up', 'demo', '--wait')
})

afterEach(() => lab[Symbol.asyncDispose]())

test('a killed agent is shown, replicas elsewhere answer, and a restart rejoins by itself', async () => {
  const victim = await nodeWithoutClients()
  const before = (await node(lab, victim)).agent!.pid
  process.kill(before, 'SIGKILL')

  await eventually(async () => expect(await isReady(lab, victim)).toBe(false), { timeoutMs: 2000 })
  for (let call = 0; call < 5; call += 1) expect((await get(lab, 'http://ratings:9080/ratings/0')).stdout).toBe('200')

  await lab.ok('restart', `node/${victim}`)
  await eventually(async () => expect(await isReady(lab, victim)).toBe(true), { timeoutMs: 15_000 })
  expect((await node(lab, victim)).agent!.pid).not.toBe(before)
  await lab.ok('wait', 'pods', '--all', '--for=condition=Ready', '--timeout', '20s')
})

test('with the control plane killed, not one request fails; after a restart nothing is lost', async () => {
  const controlPlane = (await processes(lab)).find(({ role }) => role === 'control-plane')!
  const before = await names('pods')
  const capture = (await items(lab, 'pods', '-l', 'app=curl'))[0]!.status!.ambientLab as {
    capture: { host: string; port: number }
  }
  process.kill(controlPlane.pid, 'SIGKILL')

  const { curl } = await import('./curl.ts')
  const codes = await curl(capture.capture, 'http://productpage:9080/productpage', 40)
  expect(codes).toEqual(Array(40).fill('200'))
  for (const command of [
    ['get', 'pods'],
    ['tui', '--once'],
  ])
    expect((await lab.run(command)).code).toBe(69)

  await lab.ok('restart', 'control-plane')
  await eventually(async () => expect(await names('pods')).toEqual(before), { timeoutMs: 15_000 })
  await eventually(async () => expect(await isReady(lab, 'n1')).toBe(true), { timeoutMs: 15_000 })
  expect((await get(lab, 'http://productpage:9080/productpage')).stdout).toBe('200')
})

test('after kill -9 of everything, clean leaves no process, no port and no lock, and up starts anew', async () => {
  const all = await processes(lab)
  for (const { pid } of all) process.kill(pid, 'SIGKILL')
  await eventually(async () => expect((await processes(lab)).every(({ alive }) => !alive)).toBe(true))

  await lab.ok('lab', 'clean')
  expect(all.filter(({ pid }) => isRunning(pid))).toEqual([])
  await lab.ok('up', 'demo', '--wait')
  expect((await get(lab, 'http://productpage:9080/productpage')).stdout).toBe('200')
})

async function names(type: string): Promise<string[]> {
  return (await items(lab, type, '-A')).map(({ metadata }) => metadata.name).sort()
}

/** A node whose death leaves curl and one replica of ratings running. */
async function nodeWithoutClients(): Promise<string> {
  const pods = await items<{ nodeName: string }>(lab, 'pods')
  const nodeOf = (app: string) =>
    pods.filter(({ metadata }) => metadata.labels?.app === app).map(({ spec }) => spec.nodeName)
  const [curl] = nodeOf('curl')
  const victim = nodeOf('ratings').find((name) => name !== curl)
  if (!victim) throw new Error('ratings has no replica apart from curl')
  return victim
}
