import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { describe, expect, test } from 'vitest'
import { get, isRunning, processes } from './objects.ts'

describe('up, interrupted', () => {
  test.each([
    ['before there is a supervisor', (lab: AmbientLab) => existsSync(join(lab.home, 'labs'))],
    ['while the control plane starts', async (lab: AmbientLab) => (await processes(lab)).length > 0],
    ['while pods become ready', (_: AmbientLab, said: string) => said.includes('control plane')],
  ])('%s: it answers at once, and the next up goes on from there', async (_, moment) => {
    await using lab = new AmbientLab()
    const up = lab.spawn(['up', 'demo', '--wait'])
    const ended = once(up, 'close')
    let said = ''
    up.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await eventually(async () => expect(await moment(lab, said)).toBe(true), { timeoutMs: 30_000 })
    up.kill('SIGINT')
    const [code] = await ended
    // A fast machine may have been through already; a slow one may not have come to say anything.
    expect([0, 130]).toContain(code)
    if (code === 130 && said !== '') expect(said).toContain('next: ambient up goes on, ambient down removes it')

    await lab.ok('up', 'demo', '--wait')
    expect((await get(lab, 'http://productpage:9080/productpage')).stdout).toBe('200')
  })
})

test('a demo whose reader leaves takes its lab down', async () => {
  await using lab = new AmbientLab()
  const demo = lab.spawn(['demo'])
  const ended = once(demo, 'close')
  await once(demo.stdout!, 'data')
  const all = await processes(lab)
  expect(all.length).toBeGreaterThan(2)
  demo.stdout!.destroy()
  expect((await ended)[0]).toBe(0)
  await eventually(() => expect(all.filter(({ pid }) => isRunning(pid))).toEqual([]))
  expect((await lab.run(['get', 'pods'])).code).toBe(69)
})
