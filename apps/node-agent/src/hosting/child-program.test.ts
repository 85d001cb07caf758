import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { kernelStartTime, SeededRandom, systemClock, VirtualClock } from '@ambient-lab/std'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { PROGRAMS } from '../test-kit/programs.ts'
import { ChildProgram, environmentFor } from './child-program.ts'
import { type ContainerContext, expandReferences } from './container.ts'
import { checkOverSockets } from './probe.ts'

const running: ChildProgram[] = []
const events: string[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((program) => program.stop()))
  events.length = 0
})

function context(spec: Partial<ContainerContext['spec']>): ContainerContext {
  return {
    pod: { uid: 'u', name: 'shop-1', namespace: 'd', serviceAccount: 's', address: '10.0.0.1', node: 'n', labels: {} },
    spec: { name: 'c', image: 'x', command: [], args: [], env: {}, ports: [], ...spec },
    capture: { host: '127.0.0.1', port: 15080 },
  }
}

function run(spec: Partial<ContainerContext['spec']>, clock = systemClock): ChildProgram {
  const program = new ChildProgram(
    context(spec),
    { onChange: () => {}, onEvent: (_, reason, message) => events.push(`${reason}: ${message}`) },
    { clock, random: new SeededRandom(1), check: checkOverSockets(systemClock), environment: process.env },
    { host: '127.0.0.1' },
  )
  running.push(program)
  return program
}

const node = (program: string) => [process.execPath, '-e', program]
const isAlive = (pid: number) => kernelStartTime(pid) !== undefined

test('gets its port and the way into the mesh, and is ready when it accepts', async () => {
  const program = run({ command: node(PROGRAMS.server), ports: [8080], env: { GREETING: 'at $(PORT)' } })
  await vi.waitFor(() => expect(program.state.ready).toBe(true), 5000)
  const target = program.state.ports['8080']!
  const environment = (await (await fetch(`http://127.0.0.1:${target.port}`)).json()) as Record<string, string>
  expect(environment).toMatchObject({
    PORT: String(target.port),
    PORT_8080: String(target.port),
    HOSTNAME: 'shop-1',
    ALL_PROXY: 'socks5h://127.0.0.1:15080',
    all_proxy: 'socks5h://127.0.0.1:15080',
    AMBIENT_CAPTURE: '127.0.0.1:15080',
    GREETING: `at ${target.port}`,
  })
  expect(environment).not.toHaveProperty('VITEST')
  expect(await program.log(10)).toEqual([`pid ${program.state.pid}`])
  expect(events).toEqual(['Started: Started container c'])
})

test('stopping kills the whole group, children included', async () => {
  const program = run({ command: node(PROGRAMS.parent) })
  await vi.waitFor(async () => expect(await program.log(1)).toHaveLength(1), 5000)
  const child = Number((await program.log(1))[0]!.split(' ')[1])
  const pid = program.state.pid!
  expect(isAlive(child)).toBe(true)
  await program.stop()
  await vi.waitFor(() => expect([pid, child].filter(isAlive)).toEqual([]), 5000)
})

test('who ignores SIGTERM is killed after the grace', async () => {
  const clock = new VirtualClock()
  const program = run({ command: node(PROGRAMS.stubborn) }, clock)
  await vi.waitFor(async () => expect(await program.log(1)).toEqual(['up']), 5000)
  const pid = program.state.pid!
  const stopped = program.stop()
  await vi.waitFor(async () => expect(await program.log(1)).toEqual(['no']), 5000)
  expect(isAlive(pid)).toBe(true)
  await clock.advance(2000)
  await stopped
  expect(isAlive(pid)).toBe(false)
})

test.each([
  ['exit 3', 'Error: exit code 3'],
  ['exit 0', 'Completed: exit code 0'],
  ['kill -SEGV $$', 'Error: signal SIGSEGV'],
])('`%s` is CrashLoopBackOff and starts again later', async (script, message) => {
  const clock = new VirtualClock()
  const program = run({ command: ['sh', '-c', `echo run; ${script}`] }, clock)
  await vi.waitFor(() => expect(program.state.reason).toBe('CrashLoopBackOff'), 5000)
  expect(program.state).toMatchObject({ phase: 'waiting', ready: false, restarts: 1 })
  expect(program.state.message).toContain(message)
  expect(program.state.pid).toBeUndefined()
  await clock.advance(700)
  await vi.waitFor(() => expect(program.state.restarts).toBe(2), 5000)
  expect(await program.log(10)).toEqual(['run', 'run'])
  expect(events.filter((event) => event.startsWith('BackOff'))).toHaveLength(2)
})

test('a command that does not exist says so', async () => {
  const program = run({ command: ['/no/such/program'] }, new VirtualClock())
  await vi.waitFor(() => expect(program.state.message).toContain('exit code 127'), 5000)
  expect((await program.log(5)).join('\n')).toMatch(/not found|No such file/)
})

test('dies with its agent, even when that is killed with -9', async () => {
  const script = fileURLToPath(new URL('../test-kit/orphan-maker.ts', import.meta.url))
  const agent = spawn(process.execPath, ['--conditions=@ambient-lab/source', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(agent.stdout!.setEncoding('utf8'), 'data')) as [string]
  const [program, child] = [...line.matchAll(/\d+/g)].map(Number)
  expect([program!, child!].map(isAlive)).toEqual([true, true])
  agent.kill('SIGKILL')
  await vi.waitFor(() => expect([program!, child!].filter(isAlive)).toEqual([]), 5000)
})

describe('variables', () => {
  test('keep the agent’s own secrets out', () => {
    const env = environmentFor(context({ ports: [] }), {}, { PATH: '/bin', AWS_SECRET_ACCESS_KEY: 'x', HOME: '/h' })
    expect(env).toMatchObject({ PATH: '/bin', HOME: '/h' })
    expect(env).not.toHaveProperty('AWS_SECRET_ACCESS_KEY')
    expect(env).not.toHaveProperty('PORT')
  })

  test.each([
    ['--port=$(PORT)', '--port=80'],
    ['$$(PORT)', '$(PORT)'],
    ['$(NOPE) $PORT', '$(NOPE) $PORT'],
  ])('%s expands to %s', (text, expected) => {
    expect(expandReferences(text, { PORT: '80' })).toBe(expected)
  })
})
