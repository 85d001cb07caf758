import sidecarKind from '../../kinds/sidecar.ts'
import virtualServiceKind from '../../kinds/virtual-service.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Fields that Istio has given up. */
export default defineAnalyzer({
  name: 'deprecated-fields',
  codes: ['IST0002'],
  *find(world) {
    for (const virtualService of world.list(virtualServiceKind)) {
      const index = (virtualService.spec?.http ?? []).findIndex(({ fault }) => fault?.delay?.percent !== undefined)
      if (index < 0) continue
      const detail =
        'using deprecated setting "HTTPFaultInjection.Delay.percent"; use HTTPFaultInjection.Delay.percentage'
      yield finding('IST0002', virtualService, [detail], `spec.http[${index}].fault.delay.percent`)
    }
    for (const sidecar of world.list(sidecarKind)) {
      if (!sidecar.spec?.outboundTrafficPolicy?.egressProxy) continue
      const detail = 'using deprecated setting "OutboundTrafficPolicy.EgressProxy"; use a ServiceEntry with a gateway'
      yield finding('IST0002', sidecar, [detail], 'spec.outboundTrafficPolicy.egressProxy')
    }
  },
})
