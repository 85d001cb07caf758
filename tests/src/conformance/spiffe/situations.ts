import type { X509Certificate } from 'node:crypto'
import { type TrustBundle, verifySvid } from '@ambient-lab/pki'
import { skipped, type Verdict } from '../judge.ts'
import { Forger, NOT_AFTER_MS, NOT_BEFORE_MS, NOW_MS, TRUST_DOMAIN, withKeyUsage } from './forged-certificates.ts'
import { accepts, refuses } from './rules.ts'

/** A chain, who trusts whom, and when it is looked at. */
interface Situation {
  readonly chain: readonly X509Certificate[]
  readonly bundles: readonly TrustBundle[]
  readonly nowMs: number
}

const OTHER_DOMAIN = 'domain2.test'
const KEY_USAGE_BITS: Readonly<Record<string, number>> = { keyCertSign: 0x84, cRLSign: 0x82 }

/** Verifies an SVID in a situation that is told in words: CA of domain1.test, leaf spiffe://domain1.test/workload. */
export function judgeSituation(words: string, valid: boolean): Verdict {
  const situation = situationOf(words)
  if (!situation) return skipped(`no certificates for the situation "${words}"`)
  const { chain, bundles, nowMs } = situation
  const byDomain = new Map(bundles.map((bundle) => [bundle.trustDomain, bundle]))
  const attempt = () => verifySvid(chain, byDomain, nowMs)
  return valid ? accepts(attempt) : refuses(attempt, /./)
}

function situationOf(words: string): Situation | undefined {
  const ours = new Forger()
  const others = new Forger()
  const base = { chain: [ours.sign()], bundles: [ours.bundle()], nowMs: NOW_MS }
  const uri = /^leaf with URI SAN (\S+)$/.exec(words)?.[1]
  if (uri !== undefined) return { ...base, chain: [ours.sign({ uris: [uri] })] }
  const usage = KEY_USAGE_BITS[/^leaf with (keyCertSign|cRLSign)$/.exec(words)?.[1] ?? '']
  if (usage !== undefined) return { ...base, chain: [withKeyUsage(ours.sign(), usage)] }
  switch (words) {
    case 'good leaf, right bundle':
      return base
    case 'empty chain':
      return { ...base, chain: [] }
    case 'no bundle':
      return { ...base, bundles: [] }
    case 'only the bundle of another trust domain is given':
      return { ...base, bundles: [others.bundle(OTHER_DOMAIN)] }
    case 'bundle of the trust domain holds the roots of another one':
      return { ...base, bundles: [others.bundle(TRUST_DOMAIN)] }
    case 'leaf without a URI SAN':
      return { ...base, chain: [ours.sign({ uris: [] })] }
    case 'leaf with CA:TRUE':
      return { ...base, chain: [ours.sign({ isAuthority: true })] }
    case 'one second after notAfter':
      return { ...base, nowMs: NOT_AFTER_MS + 1000 }
    case 'one second before notBefore':
      return { ...base, nowMs: NOT_BEFORE_MS - 1000 }
    default:
      return undefined
  }
}
