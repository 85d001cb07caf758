import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ReadmeShell, readmeBlocks } from './readme-shell.ts'

const PATIENCE = { timeoutMs: 30_000 }

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', '--wait')
})

afterAll(() => lab[Symbol.asyncDispose]())

/** What a block of a README promises to print. */
interface Check {
  readonly holds: (output: string) => void
  /** The block changes something or looks at what may take its time: it is run again until it holds. */
  readonly patient?: boolean
}

interface Example {
  readonly name: string
  /** Something that its waypoint answers for; absent: there is none. */
  readonly probe?: string
  /** Of each block but the first, which sets up. */
  readonly checks: readonly Check[]
}

const EXAMPLES: readonly Example[] = [
  {
    name: 'canary',
    probe: 'http://reviews:9080/health',
    checks: [
      counted((of) => {
        expect(of('reviews-v1') + of('reviews-v2')).toBe(100)
        within(of('reviews-v2'), 1, 30)
      }),
      counted((of) => expect(of('reviews-v3')).toBe(20)),
      {
        patient: true,
        holds: (output) =>
          expect(output).toMatch(/labelled\n +20 reviews-v\d\nService canary\/reviews has no waypoint, /),
      },
    ],
  },
  {
    name: 'resilience',
    probe: 'http://flaky:8080/health',
    checks: [
      { holds: (output) => expect(output).toMatch(/^upstream request timeout 504 after 0\.[3-9]/) },
      counted((of) => {
        expect(of('200') + of('503')).toBe(100)
        within(of('503'), 8, 60)
      }),
      counted((of) => within(of('200'), 97, 100)),
      {
        holds: (output) => {
          const [, served, refused, logged] = /^ *(\d) 200\n +(\d) 503\n(\d+)\n$/.exec(output) ?? []
          expect(Number(served) + Number(refused)).toBe(8)
          expect(logged).toBe(refused)
        },
      },
      counted((of) => {
        expect(of('200') + of('503')).toBe(60)
        within(of('503'), 1, 6)
      }),
    ],
  },
  {
    name: 'fault-injection',
    probe: 'http://httpbin:8000/get',
    checks: [
      { holds: (output) => expect(output).toMatch(/^200 after [2-9]\./) },
      counted((of) => {
        expect(of('200') + of('418')).toBe(100)
        within(of('418'), 25, 75)
      }),
      {
        holds: (output) => {
          expect(output).toMatch(/^200 after [01]\./)
          expect(output).toMatch(/ 1 {2}DI via_upstream/)
          expect(output).toMatch(/ \d\d {2}FI fault_filter_abort/)
        },
      },
    ],
  },
  {
    name: 'mirroring',
    probe: 'http://echo-v1/',
    checks: [
      { holds: (output) => expect(output).toBe('    100 "pod":"echo-v1\n') },
      {
        patient: true,
        holds: (output) => {
          const [, v1, v2, v3] = /^v1 (\d+)\nv2 (\d+)\nv3 (\d+)\n$/.exec(output) ?? []
          expect([v1, v2]).toEqual(['100', '100'])
          within(Number(v3), 3, 45)
        },
      },
    ],
  },
  {
    name: 'rate-limit',
    probe: 'http://httpbin:8000/get',
    checks: [
      counted((of) => {
        for (const user of ['alice', 'bob']) within(of(`${user} 200`), 5, 6)
        within(of('root 200'), 1, 2)
      }),
      { holds: (output) => expect(output).toMatch(/^x-ratelimit-limit: 5\r\nx-ratelimit-remaining: 4\r\n/) },
      counted((of) => {
        within(of('HTTP/1.1 200'), 4, 8)
        expect(of('HTTP/1.1 429')).toBe(12 - of('HTTP/1.1 200'))
        expect(of('x-local-rate-limit: true')).toBe(of('HTTP/1.1 429'))
      }),
      counted((of) => {
        within(of('checkout 200 '), 3, 6)
        expect(of('checkout 429 true')).toBe(40 - of('checkout 200 '))
        expect(of('one replica said no')).toBe(2)
      }),
      { patient: true, holds: (output) => expect(output).toBe('     40 checkout 200\n') },
      {
        patient: true,
        holds: (output) => {
          expect(output).toContain("config.yaml: shop.PATH_/checkout: invalid rate limit unit 'fortnight'\n")
          expect(output).toContain('shop.PATH_/checkout: unit=HOUR requests_per_unit=100000, shadow_mode: false')
        },
      },
    ],
  },
  {
    name: 'gateway',
    checks: [
      { patient: true, holds: (output) => expect(output).toBe('<title>Simple Bookstore App</title>\n404\n') },
      { patient: true, holds: (output) => expect(output).toMatch(/\n<title>Simple Bookstore App<\/title>\n$/) },
    ],
  },
  {
    name: 'ext-authz',
    probe: 'http://httpbin:8000/get',
    checks: [
      {
        patient: true,
        holds: (output) => {
          expect(output).toMatch(/^elsewhere 200\ndenied by ext_authz for not found header .* 403\n/)
          expect(output).toMatch(/"X-Ext-Authz-Check-Result": \[\n +"allowed"/)
        },
      },
      {
        holds: (output) => {
          expect(output).toContain('[HTTP][denied]: GET httpbin:8000/headers')
          expect(output).toContain('[HTTP][allowed]: GET httpbin:8000/headers')
        },
      },
      {
        patient: true,
        holds: (output) => {
          expect(output).toMatch(/denied by ext_authz for not found header .* 403\n/)
          expect(output).toContain('"grpc-additional-header-override-value"')
          expect(output).toContain('principal: spiffe://cluster.local/ns/ext-authz/sa/curl')
        },
      },
    ],
  },
  {
    name: 'opa',
    probe: 'http://httpbin:8000/status/200',
    checks: [
      {
        patient: true,
        holds: (output) => {
          expect(output).toMatch(/^HTTP\/1\.1 200 OK\r\n(.*\n)*x-decided-by: opa\r\n/)
          expect(output).toMatch(/\nopa: nobody may DELETE \/anything\n403\n$/)
        },
      },
      {
        holds: (output) =>
          expect(output).toBe('200\n200\nopa: bob may order up to 100\n403\nopa: eve may not order\n403\n'),
      },
      { patient: true, holds: (output) => expect(output).toBe('1\n0\n0\n') },
      {
        holds: (output) => {
          expect(output).toContain('"source_principal":"spiffe://cluster.local/ns/opa/sa/curl"')
          expect(output).toContain('"body":"opa: bob may order up to 100')
        },
      },
    ],
  },
  {
    name: 'observability',
    probe: 'http://httpbin:8000/get',
    checks: [
      {
        patient: true,
        holds: (output) => {
          expect(output).toMatch(/src\.identity="spiffe:\/\/cluster\.local\/ns\/observability\/sa\/curl"/)
          expect(output).toMatch(/dst\.identity="spiffe:\/\/cluster\.local\/ns\/observability\/sa\/waypoint"/)
        },
      },
      ofStatuses((status) => new RegExp(`"GET /status/${status} HTTP/1\\.1" ${status} - via_upstream `)),
      ofStatuses(
        (status) => new RegExp(`^istio_requests_total\\{reporter="waypoint",.*response_code="${status}",`, 'm'),
      ),
      {
        patient: true,
        holds: (output) => {
          const series = output.split('\n').filter((line) => line.startsWith('istio_requests_total'))
          for (const code of [201, 501]) expect(output).toMatch(new RegExp(`response_code="${code}",.*team="red"} \\d`))
          for (const one of series) expect(one).not.toContain('source_principal')
          const logged = output.trimEnd().split('\n').slice(-2)
          for (const line of logged) expect(line).toContain('"GET /status/501 HTTP/1.1" 501 ')
        },
      },
      { holds: (output) => expect(output).toMatch(/"00-0af7651916cd43dd8448eb211c80319c-/) },
    ],
  },
  {
    name: 'l4-limits',
    checks: [
      counted((of) => expect(of('200')).toBe(20)),
      counted((of) => {
        expect(of('200') + of('000')).toBe(8)
        within(of('200'), 4, 6)
      }),
      {
        holds: (output) => {
          expect(output).toMatch(/^ +2 000\n +2 200\n/)
          expect(output).toMatch(/connection limit of slow\.l4-limits\.svc\.cluster\.local reached: 2/)
          expect(output).toMatch(/local connection rate limit of httpbin\.l4-limits\.svc\.cluster\.local exceeded/)
        },
      },
      counted((of) => expect(of('200')).toBe(20)),
      { patient: true, holds: (output) => expect(output).toMatch(/ +\d+ 000\n +\d+ 200\n$/) },
    ],
  },
  {
    name: 'multi-network',
    checks: [
      {
        patient: true,
        holds: (output) => {
          const [, east, west] = /^ *(\d+) version: v1\n *(\d+) version: v2\n$/.exec(output) ?? []
          expect(Number(east) + Number(west)).toBe(40)
        },
      },
      {
        patient: true,
        holds: (output) => {
          const [, east, west] = /^(\d+)\n(\d+)\n$/.exec(output) ?? []
          expect(east).toBe('0')
          within(Number(west), 5, 400)
        },
      },
      { patient: true, holds: (output) => expect(output).toMatch(/ 40 version: v1\n$/) },
      {
        patient: true,
        holds: (output) => {
          const [, east, west] = / (\d+) version: v1\n *(\d+) version: v2\n/.exec(output) ?? []
          expect(Number(east) + Number(west)).toBe(40)
          expect(output).toMatch(/\nwest-gateway\.multi-network\.svc\.cluster\.local:15008\n$/)
        },
      },
      { patient: true, holds: (output) => expect(output).toMatch(/ 20 version: v1\n$/) },
      { patient: true, holds: (output) => expect(output).toMatch(/ 20 version: v2\n$/) },
      {
        patient: true,
        holds: (output) => {
          expect(output).toContain('no healthy upstream 503\nendpoint of network west left out: network west has no')
          expect(output).toContain('AM0116')
        },
      },
    ],
  },
  {
    name: 'sidecar',
    checks: [
      { patient: true, holds: (output) => expect(output.match(/ 2\/2 +Running /g)).toHaveLength(8) },
      {
        patient: true,
        holds: (output) => {
          expect(output).toMatch(/^ +20 reviews-v1\n +20 reviews-v2\n/)
          expect(output).toMatch(/\nRBAC: access denied 403\n$/)
        },
      },
      {
        holds: (output) => {
          expect(output).toMatch(/"POST \/ratings\/1 HTTP\/1\.1" 403 - via_upstream .* outbound\|9080\|\|ratings\./)
        },
      },
      { holds: (output) => expect(output).toMatch(/^200\n.*"GET \/details\/0 HTTP\/1\.1" 200 .* inbound\|9080\|\| /) },
      { patient: true, holds: (output) => expect(output).toBe('through the waypoint 403\nfrom a sidecar 418\n') },
    ],
  },
]

test.each(EXAMPLES)('examples/$name does what its README says', async ({ name, probe, checks }) => {
  using shell = new ReadmeShell(lab)
  const [setUp = '', ...blocks] = readmeBlocks(name)
  expect(blocks).toHaveLength(checks.length)
  await shell.run(setUp)
  if (probe !== undefined) await eventually(() => waypointAnswers(name, probe), PATIENCE)
  for (const [index, { holds, patient }] of checks.entries()) {
    const attempt = async () => {
      holds(await shell.run(blocks[index]!))
      return true
    }
    await (patient ? eventually(attempt, PATIENCE) : attempt())
  }
  await lab.ok('delete', `ns/${name}`)
})

/** News of a waypoint reaches ztunnels a moment after the commands that set it up; HEAD leaves no mark in the examples. */
async function waypointAnswers(namespace: string, url: string): Promise<boolean> {
  const curl = ['curl', '-s', '-I', '--max-time', '5', '-H', 'x-user: probe', url]
  const { stdout } = await lab.run(['exec', 'deploy/curl', '-n', namespace, '--', ...curl])
  return /^server: istio-envoy/m.test(stdout)
}

/** A block that ends in `sort | uniq -c`. */
function counted(check: (of: (what: string) => number) => void): Check {
  return {
    holds: (output) => {
      const counts = new Map(
        [...output.matchAll(/^ *(\d+) (.*)$/gm)].map(([, count, what]) => [what, Number(count)] as const),
      )
      check((what) => counts.get(what) ?? 0)
    },
  }
}

function ofStatuses(pattern: (status: number) => RegExp): Check {
  return {
    holds: (output) => {
      for (const status of [200, 418, 503]) expect(output).toMatch(pattern(status))
    },
  }
}

/** Bounds that chance does not reach. */
function within(count: number, min: number, max: number): void {
  expect(count).toBeGreaterThanOrEqual(min)
  expect(count).toBeLessThanOrEqual(max)
}
