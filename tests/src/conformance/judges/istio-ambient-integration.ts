import { connect } from 'node:net'
import { socks5Dial } from '@ambient-lab/testing/mesh'
import type { CorpusFolder } from '../corpus.ts'
import { type CallTarget, call } from '../integration/calls.ts'
import type { Call, IntegrationCase } from '../integration/cases.ts'
import { PROTOCOL_OF_PORT, type Protocol } from '../integration/protocols.ts'
import { judgeOutcome } from '../integration/verdict.ts'
import { IntegrationWorld } from '../integration/world.ts'
import { defineJudge, type Verdict } from '../judge.ts'

/** Istio's end-to-end tests of ambient mode: real agents, real requests, one lab for all cases. */
export default defineJudge<IntegrationCase>({
  corpus: 'istio-ambient-integration',
  async judge(item, context) {
    const world = await context.once(startWorld)
    const checks: (Verdict & { readonly name: string })[] = []
    const manifests = item.manifests.map((file) => context.folder.text(file))
    await world.under(manifests, item.labels ?? [], async () => {
      for (const one of item.cases) checks.push({ name: one.subtest, ...(await judgeCall(one, world)) })
    })
    return { checks }
  },
})

function startWorld(folder: CorpusFolder): Promise<IntegrationWorld> {
  return IntegrationWorld.start(folder)
}

function callerOf(one: Call, world: IntegrationWorld) {
  const address = /^from \S+ ([\d.]+)\//.exec(one.subtest)?.[1]
  return address === undefined ? world.pod(`${one.from.split('/')[1]}-v1`) : world.podAt(address)
}

async function judgeCall(one: Call, world: IntegrationWorld): Promise<Verdict> {
  return judgeOutcome(await call(await targetOf(one, world)), one.expected)
}

async function targetOf(one: Call, world: IntegrationWorld): Promise<CallTarget> {
  const { method = 'GET', path = '/', headers = {} } = one
  const address = {
    host: one.address === undefined ? hostOf(one.to!) : world.podAt(one.address).status!.podIP!,
    port: one.port.servicePort,
  }
  return { ...address, dial: await dialerOf(one, world, address), protocol: protocolOf(one), method, path, headers }
}

/** Who is outside knows the gateway's port only; where a request goes on to is for the routes to say. */
async function dialerOf(one: Call, world: IntegrationWorld, target: { readonly host: string; readonly port: number }) {
  if (one.from === 'ingress') {
    const { host, port } = await world.ingress(one.port.servicePort)
    return async () => connect({ host, port })
  }
  const capture = callerOf(one, world).status!.ambientLab!.capture!
  return () => socks5Dial(capture, target)
}

/** `echo/captured` → `captured.echo.svc.cluster.local` */
function hostOf(service: string): string {
  const [namespace, name] = service.split('/')
  return `${name}.${namespace}.svc.cluster.local`
}

function protocolOf({ port }: Call): Protocol {
  return PROTOCOL_OF_PORT[port.workloadPort ?? port.servicePort] ?? (port.protocol === 'TCP' ? 'tcp' : 'http')
}
