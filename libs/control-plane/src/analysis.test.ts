import type { Analysis, AnalysisSpec } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench } from './control-plane.conformance.ts'
import { SERVICES } from './stored-kinds.ts'

const USER = { name: 'admin', groups: ['system:masters'] }
const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default' },
  spec: { ports: [{ name: 'http', port: 80 }] },
} as const
const policy = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'pay' },
  spec: { targetRefs: [{ kind: 'Service', group: '', name: 'web' }], rules: [{}] },
} as const

async function ask(bench: ControlPlaneBench, spec: AnalysisSpec): Promise<readonly string[]> {
  const create = bench.controlPlane.apiHooks().createOnly!['ambient.lab/analyses']!
  const object = { apiVersion: 'ambient.lab/v1', kind: 'Analysis', metadata: { name: 'x' }, spec }
  const { status } = (await create({ object, user: USER, dryRun: false })) as Analysis
  return status!.findings.map(({ code, object }) => `${code} ${object.kind} ${object.name}`)
}

describe('an Analysis', () => {
  it('looks at what is stored and what is brought along together', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICES, service)
    expect(await ask(bench, { objects: [policy] })).toContain('AM0107 AuthorizationPolicy pay')
    expect(bench.controlPlane.cluster.list('security.istio.io/authorizationpolicies')).toEqual([])
  })

  it('leaves the lab out where that is wanted', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICES, service)
    expect(await ask(bench, { objects: [policy], useLab: false })).toEqual(['IST0101 AuthorizationPolicy pay'])
  })

  it('puts an object before the stored one of the same name', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICES, { ...service, spec: { ports: [{ name: 'main', port: 80 }] } })
    expect(await ask(bench, {})).toContain('IST0118 Service web')
    expect(await ask(bench, { objects: [service] })).not.toContain('IST0118 Service web')
  })

  it.each([
    ['an unknown kind', { ...policy, kind: 'Teapot' }, /no kind Teapot/],
    ['an object without a name', { ...policy, metadata: {} }, /without metadata.name/],
    ['a breach of the schema', { ...policy, spec: { action: 'REFUSE' } }, /spec.action/],
  ])('refuses %s', async (_, object, words) => {
    await using bench = await ControlPlaneBench.start()
    await expect(ask(bench, { objects: [object as never] })).rejects.toThrow(words)
  })
})
