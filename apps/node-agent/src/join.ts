import { createCsr, generateKeyPair, parseCertificates, privateKeyToPem } from '@ambient-lab/pki'
import { type Clock, CodedError, errorCode, errorMessage, sleep } from '@ambient-lab/std'
import type { NodeCredentials } from './credentials.ts'
import { JOIN_PATIENCE_MS, JOIN_RESPONSE_BYTES_MAX, JOIN_RETRY_MS } from './limits.ts'

/** What a join token says. */
export interface JoinToken {
  /** URL of the control plane's API. */
  readonly api: string
  /** SHA-256 of the root certificate's DER, lower-case hex: whom to believe. */
  readonly caPin: string
  readonly secret: string
  readonly node: string
}

const TOKEN_PREFIX = 'al1.'

/** @throws CodedError TOKEN_MALFORMED */
export function parseJoinToken(text: string): JoinToken {
  const trimmed = text.trim()
  try {
    if (!trimmed.startsWith(TOKEN_PREFIX)) throw new Error(`it does not begin with ${TOKEN_PREFIX}`)
    const { u, ca, s, n } = JSON.parse(Buffer.from(trimmed.slice(TOKEN_PREFIX.length), 'base64url').toString('utf8'))
    const valid =
      typeof u === 'string' &&
      u.startsWith('https://') &&
      URL.canParse(u) &&
      typeof ca === 'string' &&
      /^[0-9a-fA-F]{64}$/.test(ca) &&
      typeof s === 'string' &&
      s !== '' &&
      typeof n === 'string'
    if (!valid) throw new Error('a field is missing or malformed')
    return { api: u.replace(/\/$/, ''), caPin: ca.toLowerCase(), secret: s, node: n }
  } catch (cause) {
    throw new CodedError('TOKEN_MALFORMED', `this is no join token: ${errorMessage(cause)}`, {
      next: 'ambient node token NODE',
    })
  }
}

/**
 * Exchanges a token for a node's credentials: fetches the roots from whoever answers, keeps the one that the token
 * pins, and only then, over TLS that this root vouches for, says the secret.
 * @throws CodedError CONTROL_PLANE_UNREACHABLE, CA_PIN_MISMATCH, TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED,
 * TOKEN_WRONG_NODE, VERSION_MISMATCH, JOIN_FAILED
 */
export async function joinLab(
  token: JoinToken,
  wish: { readonly node: string; readonly version: string },
  components: { readonly clock: Clock; readonly signal?: AbortSignal },
): Promise<NodeCredentials> {
  if (token.node !== wish.node) {
    throw new CodedError('TOKEN_WRONG_NODE', `the token is for node ${token.node}, not for ${wish.node}`, {
      next: `ambient node token ${wish.node}`,
    })
  }
  const root = pinnedRoot(await fetchRoots(token.api, components), token)
  const keys = generateKeyPair()
  const csrPem = createCsr(keys, {
    subject: { commonName: `system:node:${wish.node}`, organizations: ['system:nodes'] },
  })
  const body = JSON.stringify({ secret: token.secret, node: wish.node, csrPem, version: wish.version })
  const answer = await request(`${token.api}/join`, { method: 'POST', ca: root, body }).catch((error) => {
    throw joinError(error, token.api)
  })
  const value = parseAnswer(answer)
  const { certificatePem, rootsPem } = value
  if (answer.status !== 200) throw refusal(answer.status, value, wish)
  if (typeof certificatePem !== 'string' || typeof rootsPem !== 'string') {
    throw new CodedError('JOIN_FAILED', 'the answer to join has no certificate')
  }
  return {
    api: token.api,
    node: wish.node,
    keyPem: privateKeyToPem(keys.privateKey),
    certificatePem,
    rootsPem,
  }
}

/** Waits for a control plane that is being started at the same time. */
async function fetchRoots(
  api: string,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal },
): Promise<string> {
  const deadlineMs = clock.monotonic() + JOIN_PATIENCE_MS
  for (;;) {
    try {
      const { status, body } = await request(`${api}/cacerts`, { method: 'GET', ca: undefined })
      if (status === 200) return body
      throw new CodedError('JOIN_FAILED', `${api}/cacerts answered ${status}`)
    } catch (error) {
      if (CodedError.is(error) || clock.monotonic() >= deadlineMs) throw joinError(error, api)
      await sleep(clock, JOIN_RETRY_MS, signal)
    }
  }
}

function pinnedRoot(bundlePem: string, { api, caPin }: JoinToken): string {
  const roots = parseCertificates(bundlePem)
  const root = roots.find(({ fingerprint256 }) => fingerprint256.replaceAll(':', '').toLowerCase() === caPin)
  if (root) return root.toString()
  throw new CodedError('CA_PIN_MISMATCH', `whoever answers at ${api} is not the control plane that made this token`, {
    next: 'ask for a new token, over a channel that you trust',
  })
}

function joinError(error: unknown, api: string): CodedError {
  if (CodedError.is(error)) return error
  const isTls = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(errorCode(error) ?? '')
  if (isTls) {
    return new CodedError('CA_PIN_MISMATCH', `${api}: ${errorMessage(error)}`, { cause: error })
  }
  return new CodedError('CONTROL_PLANE_UNREACHABLE', `${api}: ${errorMessage(error)}`, {
    cause: error,
    next: 'ambient up, or check that this machine reaches the address',
  })
}

const REFUSALS: Readonly<Record<string, string>> = {
  TOKEN_UNKNOWN: 'the control plane does not know this token: it was deleted, or made by another lab',
  TOKEN_USED: 'this token was used before; each is good for one join',
  TOKEN_EXPIRED: 'this token has expired',
}

function refusal(
  status: number,
  value: Readonly<Record<string, unknown>>,
  wish: { readonly node: string; readonly version: string },
): CodedError {
  const code = [value.code, value.reason].find((word) => typeof word === 'string') ?? 'JOIN_FAILED'
  const message = typeof value.message === 'string' ? value.message : `the control plane answered ${status}`
  if (code === 'VERSION_MISMATCH') {
    return new CodedError(code, `this agent is version ${wish.version}: ${message}`, {
      next: 'install the same version',
    })
  }
  const text = REFUSALS[code]
  return new CodedError(code, text ? `${text} (${message})` : message, { next: `ambient node token ${wish.node}` })
}

interface Answer {
  readonly status: number
  readonly body: string
}

function parseAnswer({ status, body }: Answer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // told below
  }
  throw new CodedError('JOIN_FAILED', `the answer to join (${status}) is no JSON object`)
}

/** One HTTPS exchange. Without `ca` the peer is not verified: only for what is verified by other means. */
async function request(
  url: string,
  options: { readonly method: string; readonly ca: string | undefined; readonly body?: string },
): Promise<Answer> {
  const { request: send } = await import('node:https') // an agent that joined before never needs it
  const { method, ca, body } = options
  return new Promise((resolve, reject) => {
    const trust = ca === undefined ? { rejectUnauthorized: false } : { ca }
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const outgoing = send(url, { method, headers, agent: false, ...trust }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > JOIN_RESPONSE_BYTES_MAX)
          response.destroy(new CodedError('JOIN_FAILED', 'the answer is too long'))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
