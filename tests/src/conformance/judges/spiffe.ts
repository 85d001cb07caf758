import {
  checkSvidForm,
  joinSpiffePath,
  parseCertificates,
  parseSpiffeBundle,
  parseSpiffeUri,
  parseTrustDomain,
} from '@ambient-lab/pki'
import { errorMessage } from '@ambient-lab/std'
import { same } from '../expectation.ts'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'
import { judgeRule } from '../spiffe/rules.ts'
import { judgeSituation } from '../spiffe/situations.ts'

export interface SpiffeCase extends CorpusCase {
  readonly kind: string
  readonly input?: string
  readonly segments?: readonly string[]
  /** File of PEM certificates, leaf first. */
  readonly chain?: string
  /** File of a bundle. */
  readonly bundle?: string
  readonly situation?: string
  readonly rule?: string
  readonly expected?: Expected
}

interface Expected {
  readonly valid?: boolean
  /** The wording of the Go library: a hint. */
  readonly error?: string
  readonly [fact: string]: unknown
}

/** The SPIFFE standards, from the tests of their Go library. */
export default defineJudge<SpiffeCase>({
  corpus: 'spiffe',
  judge(item, { folder }) {
    const { kind, input = '', expected = {} } = item
    switch (kind) {
      case 'parseId':
        return outcome(expected, () => ({ ...parseSpiffeUri(input) }))
      case 'parseTrustDomain':
        return outcome(expected, () => ({ trustDomain: trustDomainOf(input) }))
      case 'joinPath':
        return outcome({ valid: expected.error === undefined, ...expected }, () => ({
          path: joinSpiffePath(item.segments ?? []),
        }))
      case 'parseX509Svid':
        return outcome(expected, () => svidFacts(folder.text(item.chain ?? '')))
      case 'parseBundle':
        return outcome(expected, () => bundleFacts(folder, item.bundle ?? ''))
      case 'verifyX509Svid':
        return judgeSituation(item.situation ?? '', expected.valid ?? false)
      case 'rule':
        return judgeRule(item.rule ?? '')
      default:
        return skipped(`no judge for kind "${kind}"`)
    }
  },
})

/** Valid with exactly the facts that are given, or refused, for whatever reason. */
function outcome({ valid, error: _, ...facts }: Expected, attempt: () => Readonly<Record<string, unknown>>): Verdict {
  let got: Readonly<Record<string, unknown>>
  try {
    got = attempt()
  } catch (error) {
    return valid ? failed(`want ${JSON.stringify(facts)}\ngot  ${errorMessage(error)}`) : PASSED
  }
  if (!valid) return failed(`want it refused\ngot  ${JSON.stringify(got)}`)
  return same(Object.fromEntries(Object.keys(facts).map((fact) => [fact, got[fact]])), facts)
}

/** By its name, or out of any id of the domain. */
function trustDomainOf(input: string): string {
  return input.includes(':/') ? parseSpiffeUri(input).trustDomain : parseTrustDomain(input)
}

function svidFacts(pem: string) {
  const chain = parseCertificates(pem)
  const { trustDomain, path } = checkSvidForm(chain)
  return { id: `spiffe://${trustDomain}${path}`, certificates: chain.length }
}

function bundleFacts(folder: JudgeContext['folder'], file: string) {
  const { x509, jwtKeys, witKeys, refreshHintSeconds, sequenceNumber } = parseSpiffeBundle(
    'domain.test',
    folder.text(file),
  )
  if (!x509) throw new Error('no X.509 authority')
  // The corpus counts token keys under this name: each of its bundles has one X.509 authority besides.
  return { x509AuthoritiesAndJwtAuthorities: jwtKeys.size, witKeys: witKeys.size, refreshHintSeconds, sequenceNumber }
}
