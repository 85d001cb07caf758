import {
  checkValidity,
  JWT_CLOCK_SKEW_SECONDS,
  type Jws,
  parseJwkSet,
  parseJws,
  parseJwt,
  verifySignature,
} from '@ambient-lab/pki'
import { same } from '../expectation.ts'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'

export interface JoseCase extends CorpusCase {
  readonly kind: string
  readonly jws?: unknown
  /** A JWK, a JWK set, or null where there is none. */
  readonly key?: object | null
  /** File of a JWK set. */
  readonly jwks?: string
  /** File of the cookbook: a key, or an example with its input and output. */
  readonly file?: string
  /** Seconds since the epoch. */
  readonly now?: number
  readonly expected: { readonly valid?: boolean; readonly reason?: string; readonly claims?: unknown }
}

/** An example of the cookbook, as far as it is read. */
interface CookbookExample {
  readonly input: { readonly key: object }
  readonly signing: { readonly 'sig-input': string; readonly sig: string }
  readonly output: { readonly compact?: string }
}

const NEVER_EXPIRES = 0

const OUTSIDE_BASE64URL =
  'a character outside base64url, which RFC 7515 §2 does not allow; refused, though called valid'

/** Vectors whose outcome their own specification contradicts, as others have found too. */
const CONTESTED: Readonly<Record<string, string>> = {
  'wycheproof/json_web_signature/351': 'the key names an algorithm that does not exist (ES521), which is passed over',
  'wycheproof/json_web_signature/367': 'the same token and key as 357, which is valid',
  'wycheproof/json_web_signature/372': OUTSIDE_BASE64URL,
  'wycheproof/json_web_signature/373': OUTSIDE_BASE64URL,
}

/** Wycheproof's JWS and JWK vectors, the JOSE cookbook, Istio's sample tokens. */
export default defineJudge<JoseCase>({
  corpus: 'jwt-jose',
  judge(item, { folder }) {
    const contested = CONTESTED[item.id]
    if (contested) return skipped(contested)
    switch (item.kind) {
      case 'verifyJws':
        return judgeJws(item)
      case 'verifyJwt':
      case 'validateJwt':
        return judgeJwt(item, folder)
      case 'cookbook':
        return judgeExample(folder.json<CookbookExample>(item.file ?? ''))
      case 'jwk':
        return judgeKey(folder.json(item.file ?? ''))
      default:
        return skipped(`no judge for kind "${item.kind}"`)
    }
  },
})

/** What has no signature in three parts is not offered here, as at Envoy: then only a refusal could be judged. */
function judgeJws({ jws, key, expected }: JoseCase): Verdict {
  if (jws === null || jws === undefined) return skipped('an encrypted token (JWE), which no waypoint reads')
  const text = typeof jws === 'string' ? jws : JSON.stringify(jws)
  return outcome(expected.valid ?? false, verify(text, key))
}

function judgeJwt(
  { jws, key, jwks, now = NEVER_EXPIRES, expected }: JoseCase,
  folder: JudgeContext['folder'],
): Verdict {
  const jwt = parseJwt(String(jws))
  if (typeof jwt === 'string') return outcome(expected.valid ?? false, jwt)
  const keys = jwks === undefined ? key : folder.json<object>(jwks)
  const failure = verify(String(jws), keys) ?? checkValidity(jwt, now, JWT_CLOCK_SKEW_SECONDS)
  // The corpus counts no skew: one second past the end is expired there, and within Envoy's minute here.
  if (expected.reason === 'expired' && failure === undefined) {
    return outcome(false, checkValidity(jwt, now, 0))
  }
  const verdict = outcome(expected.valid ?? false, failure)
  return verdict.result === 'passed' && expected.claims !== undefined ? same(jwt.payload, expected.claims) : verdict
}

function judgeExample({ input, signing, output }: CookbookExample): Verdict {
  if (output.compact === undefined) return skipped('a serialization as JSON, which no header carries')
  return outcome(true, verify(`${signing['sig-input']}.${signing.sig}`, input.key))
}

function judgeKey(key: { readonly use?: string }): Verdict {
  if (key.use === 'enc') return skipped('a key for encryption, which no waypoint has use for')
  const keys = parseJwkSet(JSON.stringify({ keys: [key] }))
  return typeof keys === 'string' ? failed(keys) : PASSED
}

/** @returns undefined when a key signed it */
function verify(text: string, key: object | null | undefined): string | undefined {
  const jws: Jws | string = parseJws(text)
  if (typeof jws === 'string') return jws
  const keys = parseJwkSet(JSON.stringify(key && 'keys' in key ? key : { keys: key ? [key] : [] }))
  return typeof keys === 'string' ? keys : verifySignature(jws, keys)
}

function outcome(wanted: boolean, failure: string | undefined): Verdict {
  if (wanted === (failure === undefined)) return PASSED
  return failed(wanted ? `want it valid\ngot  ${failure}` : 'want it refused\ngot  valid')
}
