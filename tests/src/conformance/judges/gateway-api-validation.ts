import { loadManifest, parseGatewayDuration, type Resource } from '@ambient-lab/api'
import { errorMessage } from '@ambient-lab/std'
import { same } from '../expectation.ts'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'
import { breachesOf, judgeResource } from '../validation.ts'

export interface GatewayApiValidationCase extends CorpusCase {
  readonly valid: boolean
  readonly resource?: Resource
  readonly errorsContain?: readonly string[]
  readonly file?: string
  readonly function?: string
  /** Of a duration: its text, and nanoseconds when it is one. */
  readonly case?: { readonly args: unknown; readonly expected?: unknown }
}

/** Cases that cannot be told, and why. */
const UNTOLD: Readonly<Record<string, string>> = {
  'cel/ValidateGateway/029': 'it is about a status, which the case does not hold',
  'file/examples/experimental/v1alpha2/tls-routing/tls-route':
    'valid as v1alpha2 only: the lab serves every version with the bounds of v1',
}

const NANOSECONDS_PER_MS = 1_000_000

/** The Gateway API's own tables of valid and invalid resources, and its example files. */
export default defineJudge<GatewayApiValidationCase>({
  corpus: 'gateway-api-validation',
  async judge(item, { folder }) {
    const untold = UNTOLD[item.id]
    if (untold) return skipped(untold)
    if (item.resource) return judgeResource(item.resource, { valid: item.valid, hints: item.errorsContain ?? [] })
    if (item.function === 'TestParseDuration') return judgeDuration(item.case)
    if (item.file) return await judgeFile(folder, item.file, item.valid)
    return skipped('the lab writes no durations of the Gateway API')
  },
})

function judgeDuration({ args, expected }: NonNullable<GatewayApiValidationCase['case']> = { args: '' }): Verdict {
  const durationMs = parseGatewayDuration(String(args))
  return same(durationMs === undefined ? undefined : durationMs * NANOSECONDS_PER_MS, expected)
}

/** All of a valid example is taken; something in an invalid one is refused. */
async function judgeFile(folder: JudgeContext['folder'], file: string, valid: boolean): Promise<Verdict> {
  const breaches = await breachesOfFile(folder.text(file), file)
  if (valid) return breaches.length === 0 ? PASSED : failed(`want it taken\ngot  ${breaches.join('; ')}`)
  return breaches.length > 0 ? PASSED : failed('want something in it refused')
}

async function breachesOfFile(text: string, file: string): Promise<readonly string[]> {
  try {
    const { resources, warnings } = await loadManifest(text, { file, defaultNamespace: 'default' })
    return [
      ...resources.flatMap(({ object }) => breachesOf(object) ?? []),
      ...warnings.map(({ path, message }) => `${path}: ${message}`),
    ]
  } catch (error) {
    return [errorMessage(error)]
  }
}
