import { answerQuestion, encodeConnect, formatForwarded, innerRequest, type ProxyState } from '@ambient-lab/dataplane'
import { parseBaggage } from '@ambient-lab/telemetry'
import { same } from '../expectation.ts'
import type { JudgeContext, Verdict } from '../judge.ts'
import type { BaggageCase, DnsCase, DnsState, ForwardedCase, OriginNetworkCase, ServiceLookupCase } from './cases.ts'
import { socketAddress } from './plan-cases.ts'
import { networkAddress, stateOf, workloadOf } from './records.ts'

export function judgeServiceLookup(item: ServiceLookupCase): Verdict {
  const state = stateOf(item.services, [])
  const found = lookup(state, item)
  return same(found ? `${found.namespace}/${found.name}` : null, item.expected)
}

function lookup(state: ProxyState, { vip, host, hostname, clientNamespace }: ServiceLookupCase) {
  const namespace = clientNamespace ?? undefined
  if (vip === undefined) return state.serviceByHostname(host ?? hostname ?? '', namespace)
  const { network, address } = networkAddress(vip)
  return state.serviceByVip(network, address, namespace)
}

export function judgeBaggage({ headers, expected }: BaggageCase): Verdict {
  const baggage: Readonly<Record<string, string | undefined>> = { ...parseBaggage(headers) }
  return same(Object.fromEntries(Object.keys(expected).map((field) => [field, baggage[field] ?? null])), expected)
}

export function judgeForwarded({ source, serviceHostname, expected }: ForwardedCase): Verdict {
  return same(formatForwarded(socketAddress(source), serviceHostname ?? undefined), expected)
}

/** What is forwarded is the outside resolver's to answer: there, only the forwarding is ours. */
export function judgeDns({ state: file, query, expected }: DnsCase, { folder }: JudgeContext): Verdict {
  const known = folder.json<DnsState>(file)
  const answer = answerQuestion(stateOf(known.services, known.workloads), {
    ...query,
    client: workloadOf(known.client),
    clusterDomain: known.domain,
    preferredNamespace: known.preferredServiceNamespace,
  })
  const { authoritative } = expected
  if (answer.kind === 'forward' || !authoritative)
    return same({ authoritative: answer.kind === 'answer' }, { authoritative })
  const inAnyOrder = (records: DnsCase['expected']['answers']) =>
    records.map(({ name, type, data }) => `${name} ${type} ${data}`).sort()
  return same(
    { code: 'NoError', answers: inAnyOrder(answer.records) },
    { code: expected.code, answers: inAnyOrder(expected.answers) },
  )
}

/** What the CONNECT inside of another one says of networks, as it is written. */
export function judgeOriginNetwork({ doubleHbone, network, expected }: OriginNetworkCase): Verdict {
  const request = { authority: 'svc.ns.svc.cluster.local:80', baggage: '', forwarded: '', traceparent: '' }
  const written = encodeConnect(doubleHbone ? innerRequest(request, network) : request)
  const fields = JSON.parse(Buffer.from(written).toString('utf8')) as Record<string, string>
  return same(Object.fromEntries(Object.entries(fields).filter(([name]) => name.startsWith('x-'))), expected)
}
