import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SeededRandom, systemClock, VirtualClock } from '@ambient-lab/std'
import type { ContainerProbe } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { type ContainerObserver, type ContainerRunner, type ContainerState, CREATING } from './container.ts'
import { checkOverSockets } from './probe.ts'
import { ProbedContainer, type Probes } from './probed-container.ts'

const PORTS = { '80': { host: '127.0.0.1', port: 8080 } }

function probe(change: Partial<ContainerProbe> = {}): ContainerProbe {
  return {
    ...{ port: 80, initialDelayMs: 0, periodMs: 10_000, timeoutMs: 1000, successThreshold: 1, failureThreshold: 3 },
    ...change,
  }
}

/** A container that runs when it is told to. */
class FakeContainer implements ContainerRunner {
  state: ContainerState = CREATING
  stopped = false
  execute?: NonNullable<ContainerRunner['execute']>
  readonly #observer: ContainerObserver

  constructor(observer: ContainerObserver) {
    this.#observer = observer
  }

  run(startedAtMs: number): void {
    this.state = { ...CREATING, phase: 'running', ready: true, reason: '', startedAtMs, ports: PORTS }
    this.#observer.onChange()
  }

  crash(): void {
    this.state = { ...this.state, phase: 'waiting', ready: false, reason: 'CrashLoopBackOff', restarts: 1, ports: {} }
    this.#observer.onChange()
  }

  async stop(): Promise<void> {
    this.stopped = true
  }

  async log(): Promise<readonly string[]> {
    return ['a line']
  }
}

function setUp(probes: Probes) {
  const clock = new VirtualClock()
  const lives: FakeContainer[] = []
  const events: string[] = []
  const answers = { failure: undefined as string | undefined, asked: 0 }
  const observer = {
    onChange: () => {},
    onEvent: (_: string, reason: string, message: string) => events.push(`${reason}: ${message}`),
  }
  const container = new ProbedContainer(
    (own) => {
      const life = new FakeContainer(own)
      lives.push(life)
      return life
    },
    { name: 'web', probes },
    observer,
    {
      clock,
      random: new SeededRandom(1),
      check: async () => {
        answers.asked += 1
        return answers.failure
      },
    },
  )
  return { clock, lives, events, answers, container }
}

describe('a container with exec probes', () => {
  const exec = probe({ exec: ['cat', '/ready'] })

  it('is asked by its command, and restarted when that keeps failing', async () => {
    const { clock, lives, events, answers, container } = setUp({ readiness: exec, liveness: exec })
    const results: (string | undefined)[] = [undefined]
    lives[0]!.execute = async (command, timeoutMs) => {
      expect([command, timeoutMs]).toEqual([['cat', '/ready'], 1000])
      return results.at(-1)
    }
    lives[0]!.run(1)
    await clock.advance(100)
    expect(container.state.ready).toBe(true)
    results.push('cat: /ready: No such file or directory')
    await clock.advance(30_000)
    expect(events.slice(0, 2).sort()).toEqual(
      [
        'Unhealthy: Liveness probe failed: cat: /ready: No such file or directory',
        'Killing: Container web failed liveness probe, will be restarted',
      ].sort(),
    )
    expect(lives[0]!.stopped).toBe(true)
    expect(answers.asked).toBe(0)
  })

  it('passes where there is no program, and people are told once what to use instead', async () => {
    const { clock, lives, events, container } = setUp({ startup: exec, readiness: exec, liveness: probe() })
    lives[0]!.run(1)
    await clock.advance(100)
    expect(container.state.ready).toBe(true)
    lives[0]!.crash()
    lives[0]!.run(2)
    await clock.advance(100)
    expect(events.map((event) => event.split(' is not run')[0])).toEqual([
      'ProbeNotRun: Startup probe exec',
      'ProbeNotRun: Readiness probe exec',
    ])
    expect(events[0]).toContain('use httpGet, tcpSocket or grpc')
  })
})

describe('a container with a readiness probe', () => {
  it('is ready when it says so, soon after it does, and no longer after three refusals', async () => {
    const { clock, lives, events, answers, container } = setUp({ readiness: probe() })
    answers.failure = 'not yet'
    await clock.advance(60_000)
    expect(answers.asked).toBe(0)
    lives[0]!.run(1)
    await clock.advance(200)
    expect(container.state).toMatchObject({ phase: 'running', ready: false })
    answers.failure = undefined
    await clock.advance(100)
    expect(container.state.ready).toBe(true)
    answers.failure = 'HTTP probe failed with statuscode: 503'
    await clock.advance(29_000)
    expect(container.state.ready).toBe(true)
    await clock.advance(1_000)
    expect(container.state.ready).toBe(false)
    expect(events).toEqual(['Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503'])
    answers.failure = undefined
    await clock.advance(10_000)
    expect(container.state.ready).toBe(true)
  })

  it('says once why it is not ready, when it should have been for long', async () => {
    const { clock, lives, events, answers, container } = setUp({ readiness: probe() })
    answers.failure = 'not yet'
    lives[0]!.run(1)
    await clock.advance(29_000)
    expect(events).toEqual([])
    await clock.advance(120_000)
    expect(events).toEqual(['Unhealthy: Readiness probe failed: not yet'])
    expect(container.state.ready).toBe(false)
  })

  it('is asked anew in each life, and not while it has none', async () => {
    const { clock, lives, answers, container } = setUp({ readiness: probe() })
    lives[0]!.run(1)
    await clock.advance(10)
    expect(container.state.ready).toBe(true)
    lives[0]!.crash()
    const { asked } = answers
    expect(container.state).toMatchObject({ ready: false, restarts: 1 })
    await clock.advance(60_000)
    expect(answers.asked).toBe(asked)
    answers.failure = 'not yet'
    lives[0]!.run(2)
    await clock.advance(100)
    expect(container.state.ready).toBe(false)
  })

  it('needs as many successes as it was told, and waits as long before the first', async () => {
    const readiness = probe({ initialDelayMs: 5_000, successThreshold: 2, periodMs: 1_000 })
    const { clock, lives, container } = setUp({ readiness })
    lives[0]!.run(1)
    await clock.advance(5_500)
    expect(container.state.ready).toBe(false)
    await clock.advance(1_000)
    expect(container.state.ready).toBe(true)
  })
})

describe('a container with a liveness probe', () => {
  it('is ready at once, is started again when it does not live, and that counts', async () => {
    const { clock, lives, events, answers, container } = setUp({ liveness: probe({ periodMs: 1_000 }) })
    lives[0]!.run(1)
    await clock.advance(10)
    expect(container.state.ready).toBe(true)
    answers.failure = 'dial tcp: connection refused'
    await clock.advance(3_000)
    expect(lives[0]!.stopped).toBe(true)
    expect(events).toEqual([
      'Unhealthy: Liveness probe failed: dial tcp: connection refused',
      'Killing: Container web failed liveness probe, will be restarted',
    ])
    expect(container.state).toMatchObject({ phase: 'waiting', reason: 'CrashLoopBackOff', restarts: 1, ready: false })
    answers.failure = undefined
    await clock.advance(2_000)
    expect(lives).toHaveLength(2)
    lives[1]!.run(9)
    await clock.advance(10)
    expect(container.state).toMatchObject({ phase: 'running', ready: true, restarts: 1 })
    await container.stop()
    const { asked } = answers
    await clock.advance(60_000)
    expect([answers.asked, lives.length]).toEqual([asked, 2])
  })
})

describe('a container with a startup probe', () => {
  it('is asked nothing else before that succeeds', async () => {
    const startup = probe({ periodMs: 1_000, failureThreshold: 30 })
    const { clock, lives, answers, container } = setUp({ startup, liveness: probe({ periodMs: 1_000 }) })
    answers.failure = 'starting'
    lives[0]!.run(1)
    await clock.advance(20_000)
    expect(container.state).toMatchObject({ ready: false, restarts: 0 })
    answers.failure = undefined
    await clock.advance(1_000)
    expect(container.state.ready).toBe(true)
  })

  it('is started again when it never does', async () => {
    const { clock, lives, answers, container } = setUp({ startup: probe({ periodMs: 1_000, failureThreshold: 5 }) })
    answers.failure = 'starting'
    lives[0]!.run(1)
    await clock.advance(4_010)
    expect(lives[0]!.stopped).toBe(true)
    expect(container.state.message).toBe('Startup probe failed: starting')
  })
})

describe('a check over sockets', () => {
  const check = checkOverSockets(systemClock)

  it.each([
    [200, undefined],
    [302, undefined],
    [404, 'HTTP probe failed with statuscode: 404'],
    [503, 'HTTP probe failed with statuscode: 503'],
  ])('takes status %i for %s', async (status, expected) => {
    const heard: unknown[] = []
    const server = createServer((request, response) => {
      heard.push([request.url, request.headers['x-one'], request.headers['user-agent']])
      response.writeHead(status).end()
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    const http = { path: '/ready?x=1', secure: false, headers: [{ name: 'x-one', value: '1' }] }
    expect(await check(target, probe({ http }))).toBe(expected)
    expect(heard).toEqual([['/ready?x=1', '1', expect.stringMatching(/^kube-probe/)]])
    expect(await check(target, probe())).toBeUndefined()
    server.close()
    await new Promise((resolve) => server.once('close', resolve))
    expect(await check(target, probe({ http }))).toMatch(/^Get "http:.*connection refused$/)
    expect(await check(target)).toMatch(/connection refused$/)
  })

  it('waits no longer than it was told', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    const http = { path: '/', secure: false, headers: [] }
    expect(await check(target, probe({ http, timeoutMs: 50 }))).toContain('context deadline exceeded')
    server.closeAllConnections()
    server.close()
  })
})
