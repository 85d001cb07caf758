import type { Resource } from '@ambient-lab/api'
import { normalizePath, type PathNormalization } from '@ambient-lab/dataplane'
import { readDocuments } from '../documents.ts'
import { allOf, same } from '../expectation.ts'
import { defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'
import type { Call, ExpectedCall, SecurityCase, World } from '../security/cases.ts'
import { PROVIDER } from '../security/policy-proxy.ts'
import { type CallOutcome, Scenario } from '../security/scenario.ts'

const NORMALIZATIONS: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']

/**
 * Istio's end-to-end tests of authentication and authorization, without traffic: translation, tokens and decisions are the
 * product's, what would carry the call between them is in `security/`.
 */
export default defineJudge<SecurityCase>({
  corpus: 'istio-security-integration',
  async judge(item, { folder }) {
    if (item.area === 'path-normalization') return judgePath(item)
    const manifests = await Promise.all((item.manifests ?? []).map((file) => readManifest(folder, file)))
    const scenario = new Scenario(folder.json<World>('world.json'), manifests.flat(), folder.text('jwks.json'))
    const calls = item.cases ?? []
    const verdicts = await Promise.all(calls.map(async (call) => judgeCall(call, await scenario.run(call))))
    return { checks: verdicts.map((verdict, index) => ({ ...verdict, name: nameOf(calls[index]!, index) })) }
  },
})

function judgePath({ normalization = '', path = '', expected = {} }: SecurityCase): Verdict {
  const level = NORMALIZATIONS.find((name) => name === normalization)
  if (!level) return skipped(`no path normalization called "${normalization}"`)
  const normal = normalizePath(path, level)
  return same(normal === undefined ? { status: 400 } : { pathAtBackend: normal }, expected)
}

function judgeCall({ expected }: Call, outcome: CallOutcome): Verdict {
  if ('connected' in outcome) return same(outcome.connected, expected.allowed ?? !expected.connectionClosed)
  const status = 'passed' in outcome ? 200 : outcome.status
  return allOf(
    expected.allowed === undefined ? PASSED : same(status === 200, expected.allowed),
    expected.status === undefined ? PASSED : same(status, expected.status),
    expected.statusNot !== undefined && status === expected.statusNot ? failed(`got ${status}`) : PASSED,
    () => judgeHeaders(expected, outcome),
  )
}

function judgeHeaders({ requestHeadersAtBackend = {} }: ExpectedCall, outcome: CallOutcome): Verdict {
  const headers = 'passed' in outcome ? outcome.passed.headers : {}
  const got = Object.fromEntries(
    Object.keys(requestHeadersAtBackend).map((name) => [name, headers[name.toLowerCase()] ?? '']),
  )
  return same(got, requestHeadersAtBackend)
}

/** Upstream fills the provider's name in when it has set the server up. */
async function readManifest(folder: JudgeContext['folder'], file: string): Promise<Resource[]> {
  const documents = await readDocuments<Resource>(folder, file)
  return JSON.parse(JSON.stringify(documents).replaceAll('<no value>', PROVIDER))
}

function nameOf({ subtest, from, to, port }: Call, index: number): string {
  return `${index + 1}. ${subtest ?? `${from} to ${to}`} (${port.protocol})`
}
