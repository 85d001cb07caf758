import { type SpiffeId, type SvidSource, sameSpiffeId, type X509Svid } from '@ambient-lab/pki'
import { tunnelError } from '../tunnel/errors.ts'
import type { SvidLookup } from '../tunnel/mtls.ts'
import type { TunnelSession } from '../tunnel/transport.ts'
import type { LocalWorkload } from './local-workload.ts'
import { addressOfServerName } from './server-name.ts'

/** The workloads of this node, by what a connection names them. */
export class LocalWorkloads {
  readonly #byUid = new Map<string, LocalWorkload>()
  readonly #byAddress = new Map<string, LocalWorkload>()

  add(local: LocalWorkload): void {
    this.#byUid.set(local.uid, local)
    this.#byAddress.set(local.address, local)
  }

  /** An address may have a new owner by now; that one keeps it. */
  remove(uid: string): LocalWorkload | undefined {
    const local = this.#byUid.get(uid)
    this.#byUid.delete(uid)
    if (local && this.#byAddress.get(local.address) === local) this.#byAddress.delete(local.address)
    return local
  }

  get(uid: string): LocalWorkload | undefined {
    return this.#byUid.get(uid)
  }

  byAddress(address: string): LocalWorkload | undefined {
    return this.#byAddress.get(address)
  }

  /** The captured pod that a peer means by its SNI; the others have no tunnel to offer. */
  byServerName(serverName: string): LocalWorkload | undefined {
    const address = addressOfServerName(serverName)
    const local = address === undefined ? undefined : this.#byAddress.get(address)
    return local?.captured ? local : undefined
  }

  /**
   * The pod that a tunnel leads to. Undefined once it is gone, also where a pod of another identity has its address by
   * now: the tunnel's client was shown the certificate of the one before.
   */
  behind(session: Pick<TunnelSession, 'serverName' | 'local'>): LocalWorkload | undefined {
    const local = this.byServerName(session.serverName)
    return local && sameSpiffeId(local.identity, session.local) ? local : undefined
  }

  hasIdentity(id: SpiffeId): boolean {
    for (const local of this.#byUid.values()) if (local.captured && sameSpiffeId(local.identity, id)) return true
    return false
  }

  values(): Iterable<LocalWorkload> {
    return this.#byUid.values()
  }
}

/** Which certificate a transport presents: the dialling workload's own, and that of the pod which SNI names. */
export class LocalSvids implements SvidLookup {
  readonly #locals: LocalWorkloads
  readonly #svids: SvidSource

  constructor({ locals, svids }: { readonly locals: LocalWorkloads; readonly svids: SvidSource }) {
    this.#locals = locals
    this.#svids = svids
  }

  clientSvid(source: SpiffeId, signal?: AbortSignal): Promise<X509Svid> {
    return this.#svids.fetch(source, signal ? { signal } : {})
  }

  async serverSvid(serverName: string): Promise<X509Svid> {
    const local = this.#locals.byServerName(serverName)
    if (!local) throw tunnelError('SERVER_NAME_UNKNOWN', `no workload of this node is ${serverName}`)
    return this.#svids.fetch(local.identity)
  }
}
