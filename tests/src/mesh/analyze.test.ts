import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

interface Report {
  readonly items: readonly {
    readonly code: string
    readonly object: { readonly kind: string; readonly name: string; readonly namespace?: string }
    readonly file?: string
    readonly line?: number
  }[]
}

const LIMITS = `apiVersion: ambient.lab/v1alpha1
kind: L4TrafficPolicy
metadata: {name: limits}
spec:
  targetRefs: [{kind: Service, name: httpbin}]
  maxConnections: 10
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-posts}
spec:
  selector: {matchLabels: {app: httpbin}}
  action: DENY
  rules:
    - to: [{operation: {methods: [POST]}}]
`

let lab: AmbientLab

beforeAll(() => {
  lab = new AmbientLab()
})

afterAll(() => lab[Symbol.asyncDispose]())

function file(name: string, text: string): string {
  const path = join(lab.home, name)
  writeFileSync(path, text)
  return path
}

describe('without a lab', () => {
  test('files are analysed alone: codes, line of each, exit 1 for an error', async () => {
    const path = file('limits.yaml', LIMITS)
    const { code, stdout } = await lab.run(['analyze', '-f', path, '--use-lab=false'])
    expect(stdout).toMatch(/^CODE +LEVEL +OBJECT +WHERE +MESSAGE$/m)
    expect(stdout).toMatch(
      /AM0113 +Warning +L4TrafficPolicy\/limits\.default +.*limits\.yaml:1 +Istio’s ztunnel has nothing like/,
    )
    expect(stdout).toMatch(/AM0104 +Error +AuthorizationPolicy\/no-posts\.default +.*limits\.yaml:15 /)
    expect(stdout).toMatch(/^\d findings \(.*\)\. Details: ambient explain/m)
    expect(code).toBe(1)
  })

  test('the threshold and what is suppressed decide the exit', async () => {
    const path = file('limits.yaml', LIMITS)
    const quiet = ['-S', 'AM0104=*', '-S', 'IST0101=*']
    const run = async (...more: string[]) =>
      (await lab.run(['analyze', '-f', path, '--use-lab=false', ...quiet, ...more])).code
    expect([await run(), await run('--failure-threshold', 'Warning')]).toEqual([0, 1])
  })

  test.each([
    [['analyze'], 69, /lab/],
    [['analyze', '--use-lab=false'], 64, /-f FILE/],
    [['analyze', '-f', '/nowhere.yaml', '--use-lab=false'], 66, /nowhere/],
    [['analyze', '-S', 'AM0104', '--use-lab=false'], 64, /CODE=/],
    [['analyze', '--failure-threshold', 'warn'], 64, /Info, Warning, Error/],
    [['explain', 'l4tp.spec.rateLimt'], 2, /rateLimit/],
    [['explain', 'AM9999'], 64, /ambient explain codes/],
    [['explain'], 64, /TYPE/],
  ])('%j ends with %i and says what', async (args, code, words) => {
    const outcome = await lab.run(args)
    expect(outcome.stderr).toMatch(words)
    expect(outcome.code).toBe(code)
  })

  test('YAML that breaks its schema: its place, exit 65', async () => {
    const path = file('broken.yaml', LIMITS.replace('maxConnections: 10', 'maxConnections: many'))
    const { code, stderr } = await lab.run(['analyze', '-f', path, '--use-lab=false'])
    expect(stderr).toMatch(/broken\.yaml:6:\d+: spec\.maxConnections/)
    expect(code).toBe(65)
  })

  test('a file of foreign kinds: exit 2', async () => {
    const path = file('foreign.yaml', 'apiVersion: example.com/v1\nkind: Teapot\nmetadata: {name: short}\n')
    expect((await lab.run(['analyze', '-f', path, '--use-lab=false'])).code).toBe(2)
  })
})

describe('with a lab', () => {
  beforeAll(async () => {
    await lab.ok('up', 'demo', '--wait')
  })

  test('files are analysed as if they were applied, and nothing is', async () => {
    const path = file('limits.yaml', LIMITS)
    const { stdout } = await lab.run(['analyze', '-f', path, '-o', 'json'])
    const { items } = JSON.parse(stdout) as Report
    expect(items.map(({ code, object: { name } }) => `${code} ${name}`)).toEqual(
      expect.arrayContaining(['AM0104 no-posts', 'AM0113 limits']),
    )
    expect(new Set(items.map(({ object: { name } }) => name))).toEqual(new Set(['limits', 'no-posts']))
    expect(await lab.ok('get', 'l4tp', '-A', '-o', 'name')).toBe('')
  })

  test('what runs is analysed, and the lab as it comes has no error', async () => {
    const before = await lab.run(['analyze', '-A'])
    expect(before.stdout).not.toMatch(/ Error /)
    expect(before.code).toBe(0)
    await lab.ok('apply', '-f', file('limits.yaml', LIMITS))
    const { items } = JSON.parse((await lab.run(['analyze', '-o', 'json'])).stdout) as Report
    expect(items.find(({ code }) => code === 'AM0113')?.object).toMatchObject({
      kind: 'L4TrafficPolicy',
      name: 'limits',
    })
  })
})
