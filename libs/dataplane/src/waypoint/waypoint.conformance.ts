import { describe } from 'vitest'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import { describeAdmission } from './waypoint-admission.conformance.ts'
import { describeAnswers } from './waypoint-answers.conformance.ts'
import { describeBackends } from './waypoint-backends.conformance.ts'
import { describeBytes } from './waypoint-bytes.conformance.ts'
import { describeExchanges } from './waypoint-exchanges.conformance.ts'
import { describeLifetimes } from './waypoint-lifetimes.conformance.ts'

/** What a waypoint promises, whatever it runs on. */
export function describeWaypoint(title: string, makeGround: () => Ground): void {
  describe(title, () => {
    describeExchanges(makeGround)
    describeAnswers(makeGround)
    describeAdmission(makeGround)
    describeBackends(makeGround)
    describeLifetimes(makeGround)
    describeBytes(makeGround)
  })
}
