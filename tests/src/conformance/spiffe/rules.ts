import type { X509Certificate } from 'node:crypto'
import { checkSvidForm, formatSpiffeBundle, parseSpiffeBundle, verifySvid } from '@ambient-lab/pki'
import { errorMessage } from '@ambient-lab/std'
import { allOf } from '../expectation.ts'
import { failed, PASSED, skipped, type Verdict } from '../judge.ts'
import {
  Forger,
  NOW_MS,
  TRUST_DOMAIN,
  WORKLOAD_URI,
  withKeyUsage,
  withoutKeyUsage,
  withUncriticalKeyUsage,
} from './forged-certificates.ts'

const forger = new Forger()
const stranger = new Forger()
const leaf = forger.sign()
const authority = forger.sign({ isAuthority: true, uris: [] })

const DIGITAL_SIGNATURE = 0x80
const KEY_CERT_SIGN = 0x04
const CRL_SIGN = 0x02

const wellFormed = (chain: readonly X509Certificate[]) => accepts(() => checkSvidForm(chain))
const malformed = (chain: readonly X509Certificate[], reason: RegExp) => refuses(() => checkSvidForm(chain), reason)
const trusted = (chain: readonly X509Certificate[], by: Forger, trustDomain = TRUST_DOMAIN) =>
  verifySvid(chain, new Map([[trustDomain, by.bundle(trustDomain)]]), NOW_MS)
const leafWith = (...uris: readonly string[]) => [forger.sign({ uris })]

/** Requirements of the standard, each as what it allows and what it forbids. */
const RULES: Readonly<Record<string, () => Verdict>> = {
  'exactly one URI SAN': () =>
    allOf(
      wellFormed([leaf]),
      malformed(leafWith(), /no URI SAN/),
      malformed(leafWith(WORKLOAD_URI, `${WORKLOAD_URI}-2`), /more than one URI SAN/),
    ),
  'SPIFFE ID has a non-root path': () =>
    allOf(wellFormed(leafWith('spiffe://td/a')), malformed(leafWith('spiffe://td'), /with a path/)),
  'SPIFFE ID has no path': () =>
    allOf(
      wellFormed([leaf, forger.sign({ isAuthority: true, uris: [`spiffe://${TRUST_DOMAIN}`] })]),
      malformed([leaf, forger.sign({ isAuthority: true, uris: [`spiffe://${TRUST_DOMAIN}/a`] })], /without a path/),
    ),
  'cA is true': () => allOf(wellFormed([leaf, authority]), malformed([leaf, leaf], /CA flag/)),
  'cA is false': () => allOf(wellFormed([leaf]), malformed([forger.sign({ isAuthority: true })], /CA flag/)),
  'key usage extension is present and critical': () =>
    allOf(
      wellFormed([leaf, authority]),
      malformed([withoutKeyUsage(leaf)], /critical key usage/),
      malformed([withUncriticalKeyUsage(leaf)], /critical key usage/),
      malformed([leaf, withoutKeyUsage(authority)], /critical key usage/),
      malformed([leaf, withUncriticalKeyUsage(authority)], /critical key usage/),
    ),
  'keyCertSign is set': () => malformed([leaf, withKeyUsage(authority, CRL_SIGN)], /keyCertSign/),
  'keyCertSign is not set': () => malformed([withKeyUsage(leaf, DIGITAL_SIGNATURE | KEY_CERT_SIGN)], /keyCertSign/),
  'cRLSign is not set': () => malformed([withKeyUsage(leaf, DIGITAL_SIGNATURE | CRL_SIGN)], /cRLSign/),
  'digitalSignature is set': () => malformed([withKeyUsage(leaf, 0x20)], /digitalSignature/),
  'RFC 5280 path validation to a root of the trust domain of the leaf': () =>
    allOf(
      accepts(() => trusted([leaf], forger)),
      refuses(() => trusted([leaf], stranger), /unknown issuer/),
      refuses(() => trusted([leaf], forger, 'domain2.test'), /no trust bundle/),
    ),
  'the SPIFFE ID has scheme spiffe': () =>
    allOf(wellFormed([leaf]), malformed(leafWith('sparfe://domain1.test/workload'), /scheme/)),
  'use is x509-svid and there is no kid': () => {
    const { keys } = JSON.parse(formatSpiffeBundle(forger.bundle(), 1))
    const fits = keys.every((key: Readonly<Record<string, unknown>>) => key.use === 'x509-svid' && !('kid' in key))
    return keys.length === 1 && fits ? PASSED : failed(JSON.stringify(keys))
  },
  // Of several none counts: the corpus's own bundle/multiple_x509 wants such a bundle refused.
  'x5c has exactly one certificate; an entry without x5c is ignored; of several only the first counts': () => {
    const { keys } = JSON.parse(formatSpiffeBundle(forger.bundle(), 1))
    const [{ x5c, ...bare }] = keys
    const parse = (...entries: readonly object[]) => parseSpiffeBundle(TRUST_DOMAIN, JSON.stringify({ keys: entries }))
    return allOf(
      parse({ ...bare, x5c }).x509?.roots.length === 1 ? PASSED : failed('one certificate is not one root'),
      parse(bare).x509 === undefined ? PASSED : failed('an entry without x5c was not ignored'),
      refuses(() => parse({ ...bare, x5c: [...x5c, ...x5c] }), /single certificate/),
    )
  },
}

export function judgeRule(rule: string): Verdict {
  return RULES[rule]?.() ?? skipped(`no check for the rule "${rule}"`)
}

export function accepts(attempt: () => unknown): Verdict {
  try {
    attempt()
    return PASSED
  } catch (error) {
    return failed(`want it accepted\ngot  ${errorMessage(error)}`)
  }
}

export function refuses(attempt: () => unknown, reason: RegExp): Verdict {
  try {
    attempt()
  } catch (error) {
    const text = errorMessage(error)
    return reason.test(text) ? PASSED : failed(`want it refused for ${reason}\ngot  ${text}`)
  }
  return failed(`want it refused for ${reason}\ngot  it accepted`)
}
