import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryGround } from './memory-ground.conformance.ts'
import { type Program, TwoNodes } from './two-nodes.conformance.ts'

const CONNECTIONS = 20

let mesh: TwoNodes

beforeEach(async () => {
  mesh = new TwoNodes(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

async function open(caller: string): Promise<Program> {
  const { program } = await mesh.dial(caller, 'echo', 80, 'hello')
  await mesh.ground.until(() => program.text === 'HELLO')
  return program
}

const principal = (account: string) => ({ principals: [{ exact: `cluster.local/ns/default/sa/${account}` }] })

describe('a permission that is revoked', () => {
  it('ends every connection that it held at the moment at which the policy comes, on both nodes', async () => {
    const programs: Program[] = []
    for (let count = 0; count < CONNECTIONS; count += 1) programs.push(await open('curl'))
    const stranger = await open('bare')
    const revokedAtMs = mesh.ground.clock.now()
    mesh.policy('no-curl', { action: 'DENY', rules: [{ clauses: [{ matches: [principal('curl')] }] }] })
    await mesh.ground.until(() => programs.every(({ closed }) => closed))
    expect(mesh.ground.clock.now() - revokedAtMs).toBe(0)
    const ended = (connections: TwoNodes['a']['connections']) =>
      connections.filter(({ state, source }) => state === 'closed' && source.workload === 'curl')
    expect(ended(mesh.a.connections)).toHaveLength(CONNECTIONS)
    expect(ended(mesh.b.connections)).toHaveLength(CONNECTIONS)
    expect(ended(mesh.b.connections).every(({ responseFlags }) => responseFlags === 'DENY')).toBe(true)
    stranger.say(' still')
    await mesh.ground.until(() => stranger.text === 'HELLO STILL')
  })

  it.each([
    [
      'the ALLOW that let it in is another one',
      { action: 'ALLOW', rules: [{ clauses: [{ matches: [principal('web')] }] }] },
    ],
    ['all is denied', { action: 'ALLOW', rules: [] }],
  ] as const)('is revoked as well when %s', async (_, changed) => {
    mesh.policy('p', { action: 'ALLOW', rules: [{ clauses: [{ matches: [principal('curl')] }] }] })
    const program = await open('curl')
    const revokedAtMs = mesh.ground.clock.now()
    mesh.policy('p', changed)
    await mesh.ground.until(() => program.closed)
    expect(mesh.ground.clock.now() - revokedAtMs).toBe(0)
    expect((await mesh.dial('curl', 'echo', 80)).reply).toBe(2)
  })
})
