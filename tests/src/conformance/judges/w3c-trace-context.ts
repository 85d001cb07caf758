import { HeaderMap, Tracing } from '@ambient-lab/dataplane'
import { SeededRandom } from '@ambient-lab/std'
import { type CorpusCase, defineJudge, failed, PASSED, type Verdict } from '../judge.ts'

interface Context {
  readonly trace_id: string
  readonly parent_id: string
}

/** One promise about the headers that go out; a key says what it is about. */
interface Expectation {
  readonly all?: Partial<Context>
  readonly is?: Partial<Context>
  readonly not?: Partial<Context>
  readonly distinctParentIds?: number
  readonly flagBitSet?: number
  readonly tracestate?: Readonly<Record<string, string>>
  readonly tracestateHas?: string
  readonly tracestateLacks?: string
  /** Some of them are alternatives in the words of the suite's Python. */
  readonly tracestateContains?: string
  readonly tracestateOrder?: readonly string[]
  readonly tracestateCount?: number
  readonly tracestateAbsentOrNotEmpty?: boolean
}

export interface TraceCase extends CorpusCase {
  readonly steps: readonly {
    readonly headers: readonly (readonly [name: string, value: string])[]
    readonly count?: number
    readonly expect: readonly Expectation[]
  }[]
}

interface Outgoing extends Context {
  readonly flags: number
  readonly tracestate: string | undefined
}

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** W3C's suite: what a waypoint's tracing makes of a request's headers before it sends them on. */
export default defineJudge<TraceCase>({
  corpus: 'w3c-trace-context',
  judge({ steps }) {
    const tracing = new Tracing(
      { random: new SeededRandom(1) },
      { endpoint: '', randomSamplingPercent: 1, customTags: {} },
    )
    return {
      checks: steps.map(({ headers, count = 1, expect }, index) => {
        const outgoing = Array.from({ length: count }, () => forward(headers, tracing))
        return { name: `step ${index + 1}`, ...judgeStep(outgoing, expect) }
      }),
    }
  },
})

function forward(incoming: readonly (readonly [string, string])[], tracing: Tracing): Outgoing | undefined {
  // White space around a value is no part of it (RFC 9110 §5.5): the codec has taken it away by then.
  const headers = new HeaderMap(incoming.map(([name, value]) => [name, value.replace(/^[ \t]+|[ \t]+$/g, '')] as const))
  tracing.propagate(headers)
  const [, trace_id = '', parent_id = '', flags = ''] = TRACEPARENT.exec(headers.getJoined('traceparent') ?? '') ?? []
  if (trace_id === '') return undefined
  return { trace_id, parent_id, flags: Number.parseInt(flags, 16), tracestate: headers.getJoined('tracestate') }
}

function judgeStep(outgoing: readonly (Outgoing | undefined)[], expectations: readonly Expectation[]): Verdict {
  const valid = outgoing.filter((one) => one !== undefined)
  if (valid.length < outgoing.length) return failed('no valid traceparent goes out')
  const broken = expectations.find((expectation) => !holds(valid, expectation))
  return broken ? failed(`want ${JSON.stringify(broken)}\ngot  ${JSON.stringify(valid)}`) : PASSED
}

function holds(outgoing: readonly Outgoing[], expectation: Expectation): boolean {
  const [first] = outgoing
  const matches = (one: Outgoing, wanted: Partial<Context>) =>
    Object.entries(wanted).every(([name, value]) => one[name as keyof Context] === value)
  const { all, is, not, distinctParentIds, flagBitSet } = expectation
  if (!first) return false
  if (all) return outgoing.every((one) => matches(one, all))
  if (is) return matches(first, is)
  if (not) return !matches(first, not)
  if (distinctParentIds !== undefined) {
    return new Set(outgoing.map(({ parent_id }) => parent_id)).size === distinctParentIds
  }
  if (flagBitSet !== undefined) return (first.flags & flagBitSet) === flagBitSet
  return holdsOfState(first.tracestate, expectation)
}

function holdsOfState(text: string | undefined, expectation: Expectation): boolean {
  const { tracestate, tracestateHas, tracestateLacks, tracestateContains, tracestateOrder, tracestateCount } =
    expectation
  const members = (text ?? '').split(',').filter((member) => member !== '')
  const state = new Map(members.map((member) => member.split(/=(.*)/s) as [string, string]))
  if (tracestate) return Object.entries(tracestate).every(([key, value]) => state.get(key) === value)
  if (tracestateHas !== undefined) return state.has(tracestateHas)
  if (tracestateLacks !== undefined) return !state.has(tracestateLacks)
  if (tracestateContains !== undefined) {
    return tracestateContains.split("' in str(tracestate) or '").some((part) => text?.includes(part))
  }
  if (tracestateOrder) {
    const places = tracestateOrder.map((part) => (text ?? '').indexOf(part))
    return places.every((place, index) => place >= 0 && (index === 0 || places[index - 1]! < place))
  }
  if (tracestateCount !== undefined) return members.length === tracestateCount
  return expectation.tracestateAbsentOrNotEmpty === true && text !== ''
}
