import type { X509Certificate } from 'node:crypto'
import { Emitter } from '@ambient-lab/std'
import { pkiError } from './errors.ts'
import type { RevocationList } from './revocation-list.ts'

/** Which certificates hold no longer, whatever their dates say: all lists that are believed at the moment. */
export class Revocations {
  /** The lists were replaced: who holds a connection asks again. */
  readonly onChange = new Emitter<void>()
  readonly #lists = new Map<string, readonly RevocationList[]>()
  #revoked = new Set<string>()
  #rejected = 0

  /** @param source whose lists these are, all of them: a file, or the control plane; others keep theirs */
  replace(source: string, lists: readonly RevocationList[]): void {
    this.#lists.set(source, lists)
    this.#revoked = new Set(
      [...this.#lists.values()]
        .flat()
        .flatMap(({ issuer, serialNumbers }) => [...serialNumbers].map((serial) => keyOf(issuer.subject, serial))),
    )
    this.onChange.emit()
  }

  isRevoked({ issuer, serialNumber }: X509Certificate): boolean {
    return this.#revoked.size > 0 && this.#revoked.has(keyOf(issuer, serialNumber))
  }

  /** @throws CodedError CERTIFICATE_REVOKED in ztunnel's words */
  check(leaf: X509Certificate | undefined): void {
    if (!leaf || !this.isRevoked(leaf)) return
    this.#rejected += 1
    throw pkiError('CERTIFICATE_REVOKED', 'connection closed: peer certificate revoked by CRL')
  }

  /** How often `check` has thrown. */
  get rejected(): number {
    return this.#rejected
  }
}

/** Names as node:crypto writes them, the same for an issuer and for the subject that it is. */
function keyOf(issuer: string, serialNumber: string): string {
  return `${issuer} ${serialNumber}`
}
