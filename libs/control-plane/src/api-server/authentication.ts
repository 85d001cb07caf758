import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { unauthorized } from './status-error.ts'

/** Who asks, in Kubernetes' words. */
export interface User {
  readonly name: string
  readonly groups: readonly string[]
}

export const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

/** A caller, and the verified certificate that proves it; without one the caller is anonymous. */
export interface Peer {
  readonly user: User
  readonly certificate: X509Certificate | undefined
}

const peers = new WeakMap<TLSSocket, Peer>()

/**
 * The caller behind a connection: the client certificate's common name is the user, its organizations are the groups.
 * A certificate that does not verify, or that names nobody (a workload's SVID has an empty subject), is refused, never
 * taken for anonymous: its owner meant to be someone.
 * @throws StatusError 401
 */
export function authenticate(socket: TLSSocket): Peer {
  const known = peers.get(socket)
  if (known) return known
  const peer = readPeer(socket)
  peers.set(socket, peer)
  return peer
}

function readPeer(socket: TLSSocket): Peer {
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) return { user: ANONYMOUS, certificate: undefined }
  if (!socket.authorized) throw unauthorized()
  const user = userOfSubject(certificate.subject)
  if (!user) throw unauthorized()
  return { user, certificate }
}

/**
 * @param subject as Node prints it, one attribute a line: `O=system:masters\nCN=ambient-admin`
 */
export function userOfSubject(subject: string | undefined): User | undefined {
  const attributes = (subject ?? '').split('\n').map((line) => {
    const at = line.indexOf('=')
    return { type: line.slice(0, at), value: line.slice(at + 1) }
  })
  const names = attributes.filter(({ type, value }) => type === 'CN' && value !== '')
  if (names.length !== 1) return undefined
  const groups = attributes.filter(({ type, value }) => type === 'O' && value !== '').map(({ value }) => value)
  return { name: names[0]!.value, groups: [...groups, 'system:authenticated'] }
}
