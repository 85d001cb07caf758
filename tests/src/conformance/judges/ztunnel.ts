import { defineJudge, type JudgeContext, skipped, type Verdict } from '../judge.ts'
import type {
  AuthorizeCase,
  BaggageCase,
  DnsCase,
  ForwardedCase,
  InboundCase,
  LoadBalanceCase,
  OriginNetworkCase,
  OutboundCase,
  PolicyMatchesCase,
  ServiceLookupCase,
  StringMatchCase,
  UpstreamPortCase,
  ZtunnelCase,
} from '../ztunnel/cases.ts'
import {
  judgeBaggage,
  judgeDns,
  judgeForwarded,
  judgeOriginNetwork,
  judgeServiceLookup,
} from '../ztunnel/lookup-cases.ts'
import { judgeInbound, judgeLoadBalance, judgeOutbound, judgeUpstreamPort } from '../ztunnel/plan-cases.ts'
import { judgeAuthorize, judgePolicyMatches, judgeStringMatch } from '../ztunnel/policy-cases.ts'

/** ztunnel's own unit tests. */
export default defineJudge<ZtunnelCase>({ corpus: 'ztunnel', judge: judgeByKind })

function judgeByKind(item: ZtunnelCase, context: JudgeContext): Verdict {
  switch (item.kind) {
    case 'policyMatches':
      return judgePolicyMatches(item as PolicyMatchesCase)
    case 'stringMatch':
      return judgeStringMatch(item as StringMatchCase)
    case 'authorize':
      return judgeAuthorize(item as AuthorizeCase)
    case 'inboundConnect':
      return judgeInbound(item as InboundCase)
    case 'outboundRequest':
      return judgeOutbound(item as OutboundCase)
    case 'loadBalance':
      return judgeLoadBalance(item as LoadBalanceCase)
    case 'upstreamPort':
      return judgeUpstreamPort(item as UpstreamPortCase)
    case 'serviceByVip':
    case 'serviceByHost':
      return judgeServiceLookup(item as ServiceLookupCase)
    case 'parseBaggage':
      return judgeBaggage(item as BaggageCase)
    case 'forwardedHeader':
      return judgeForwarded(item as ForwardedCase)
    case 'dnsLookup':
      return judgeDns(item as DnsCase, context)
    case 'originNetworkHeader':
      return judgeOriginNetwork(item as OriginNetworkCase)
    default:
      return skipped(`no judge for kind "${item.kind}"`)
  }
}
