import { objectKey, type Secret } from '@ambient-lab/api'
import { type CertificateAuthority, shortFingerprint } from '@ambient-lab/pki'
import { CodedError } from '@ambient-lab/std'
import { TRUST_TYPE, type VersionedResources } from '@ambient-lab/xds'
import { type AdmissionHook, invalid } from './api-server/index.ts'
import { CA_CERTS_SECRET, type CaCerts, listIssuers, readCaCerts, writeCaCerts } from './ca-certs.ts'
import type { Cluster } from './cluster.ts'
import type { EventRecorder } from './events.ts'
import { SECRETS } from './stored-kinds.ts'

export interface MeshAuthorityComponents {
  readonly cluster: Cluster
  readonly events: EventRecorder
  /** Where everybody is told whom to trust. */
  readonly resources: VersionedResources
}

export interface MeshAuthorityInit {
  /** Signs for workloads unless somebody plugs another one in. */
  readonly own: CertificateAuthority
  readonly rootNamespace: string
}

/**
 * Who signs the certificates of workloads: the lab's own authority, or the one in the Secret `cacerts` of the root
 * namespace, as with istiod, followed while the lab runs. Certificates of nodes and of the API are the lab's own in any
 * case: another root of the mesh locks nobody out.
 */
export class MeshAuthority implements Disposable {
  readonly #components: MeshAuthorityComponents
  readonly #init: MeshAuthorityInit
  readonly #stop: () => void
  #current: CaCerts

  /** Lets nothing into the store that nobody could sign with: a control plane that starts has no former state to keep. */
  readonly admission: AdmissionHook = {
    name: 'cacerts',
    admit: ({ type, operation, object }) => {
      if (type !== SECRETS || operation === 'delete' || objectKey(object.metadata) !== this.key) return undefined
      try {
        this.#read(object as Secret)
      } catch (error) {
        if (!CodedError.is(error, 'CA_CERTS_INVALID')) throw error
        throw invalid({ group: '', kind: 'Secret' }, CA_CERTS_SECRET, [{ path: 'data', message: error.message }])
      }
      return undefined
    },
  }

  constructor(components: MeshAuthorityComponents, init: MeshAuthorityInit) {
    this.#components = components
    this.#init = init
    this.#current = this.#own
    const stored = components.cluster.get(SECRETS, this.key)
    if (stored) this.#follow(stored)
    this.#publish()
    this.#stop = components.cluster.watch(({ type, operation, object }) => {
      if (type !== SECRETS || objectKey(object.metadata) !== this.key) return
      if (operation === 'deleted') this.#current = this.#own
      else this.#follow(object)
      this.#publish()
    })
  }

  /** Of the Secret. */
  get key(): string {
    return `${this.#init.rootNamespace}/${CA_CERTS_SECRET}`
  }

  get current(): CaCerts {
    return this.#current
  }

  /**
   * Writes another state into the Secret, which is made if there is none, and follows it.
   * @param change answers the same state to write nothing. What it throws comes out, and nothing is written
   */
  async write(change: (current: CaCerts) => CaCerts): Promise<void> {
    const { cluster } = this.#components
    const { rootNamespace: namespace } = this.#init
    await cluster.store.write(SECRETS, this.key, (stored) => {
      const secret = stored as Secret | undefined
      const before = secret ? this.#read(secret) : this.#own
      const after = change(before)
      if (after === before) return stored
      const metadata = { name: CA_CERTS_SECRET, namespace }
      const base = secret ?? cluster.withMetadata({ apiVersion: 'v1', kind: 'Secret', metadata })
      return { ...base, type: secret?.type ?? 'Opaque', data: writeCaCerts(after) } as Secret
    })
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  get #own(): CaCerts {
    return { authority: this.#init.own, former: [], revocationLists: [], next: undefined }
  }

  #read(secret: Secret): CaCerts {
    return readCaCerts(secret, this.#init.own.trustDomain, { clock: this.#components.cluster.clock })
  }

  #follow(secret: Secret): void {
    try {
      this.#current = this.#read(secret)
    } catch (error) {
      if (!CodedError.is(error, 'CA_CERTS_INVALID')) throw error
      const occurrence = { type: 'Warning', reason: 'CaCertsInvalid', message: error.message } as const
      this.#components.events.record(secret, { component: 'control-plane' }, occurrence)
    }
  }

  #publish(): void {
    const { authority, revocationLists } = this.#current
    const { trustDomain, rootsPem } = authority
    this.#components.resources.set(TRUST_TYPE, trustDomain, {
      trustDomain,
      rootsPem,
      signer: shortFingerprint(authority.signer),
      authoritiesPem: listIssuers(this.#current).map(String),
      revocationListsPem: revocationLists.map(({ pem }) => pem).join(''),
    })
  }
}
