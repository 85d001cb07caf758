import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CertificateAuthority, parseCsr, requestedIdentity, type SerializedAuthority } from '@ambient-lab/pki'
import { type Clock, CodedError, errorMessage } from '@ambient-lab/std'
import type { Signed, SignRequest } from '@ambient-lab/xds'
import type { MeshAuthority } from './mesh-authority.ts'
import type { NodeInventory } from './nodes.ts'

const FILES = {
  rootCertificate: 'root-cert.pem',
  rootKey: 'root-key.pem',
  intermediateCertificate: 'ca-cert.pem',
  intermediateKey: 'ca-key.pem',
} as const

/**
 * Reads the lab's certificate authority from its folder, or makes one and keeps it there, mode 0600.
 * @throws CodedError CA_UNREADABLE when there is one that does not fit together: making another would cut off every agent
 */
export function loadOrCreateAuthority(folder: string, clock: Clock, trustDomain: string): CertificateAuthority {
  // The key is written last: with it, everything else is there.
  if (!existsSync(join(folder, FILES.intermediateKey))) {
    const authority = CertificateAuthority.create({ clock }, { trustDomain })
    saveAuthority(folder, authority.serialize())
    return authority
  }
  try {
    const read = (file: string) => readFileSync(join(folder, file), 'utf8')
    return CertificateAuthority.load(
      { clock },
      {
        trustDomain,
        rootsPem: [read(FILES.rootCertificate)],
        rootKeyPem: read(FILES.rootKey),
        intermediatePem: read(FILES.intermediateCertificate),
        intermediateKeyPem: read(FILES.intermediateKey),
      },
    )
  } catch (cause) {
    throw new CodedError(
      'CA_UNREADABLE',
      `the certificate authority in ${folder} cannot be read: ${errorMessage(cause)}`,
      {
        cause,
        next: `restore ${folder} from a backup, or remove it and let every node join again`,
      },
    )
  }
}

function saveAuthority(folder: string, saved: SerializedAuthority): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  writeSecret(join(folder, FILES.rootCertificate), saved.rootsPem.join(''))
  writeSecret(join(folder, FILES.rootKey), saved.rootKeyPem)
  writeSecret(join(folder, FILES.intermediateCertificate), saved.intermediatePem)
  writeSecret(join(folder, FILES.intermediateKey), saved.intermediateKeyPem)
}

/** Whole or not at all, and never readable by others, not for a moment. */
function writeSecret(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

export interface CaServiceComponents {
  /** The lab's own: certificates of nodes, and what join tokens pin. */
  readonly authority: CertificateAuthority
  /** Signs for workloads. */
  readonly mesh: Pick<MeshAuthority, 'current'>
  readonly inventory: NodeInventory
}

/** Signs certificates for workloads, and for each node only those of workloads that are placed on it. */
export class CaService {
  readonly authority: CertificateAuthority
  readonly #mesh: Pick<MeshAuthority, 'current'>
  readonly #inventory: NodeInventory

  constructor({ authority, mesh, inventory }: CaServiceComponents) {
    this.authority = authority
    this.#mesh = mesh
    this.#inventory = inventory
  }

  /** @throws CodedError CSR_REFUSED, CERTIFICATE_TTL_REFUSED, NOT_PLACED_HERE */
  sign(node: string, { csrPem, ttlSeconds }: Pick<SignRequest, 'csrPem' | 'ttlSeconds'>): Signed {
    const csr = parseCsr(csrPem)
    const { namespace, serviceAccount } = requestedIdentity(csr)
    if (!this.#inventory.isPlaced(node, namespace, serviceAccount)) {
      throw new CodedError(
        'NOT_PLACED_HERE',
        `no pod of service account ${namespace}/${serviceAccount} is placed on node ${node}`,
      )
    }
    const { chainPem, rootsPem } = this.#mesh.current.authority.signWorkload(csr, ttlSeconds)
    return { chainPem, rootsPem }
  }
}
