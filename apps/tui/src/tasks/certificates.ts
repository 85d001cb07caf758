import type { CertificateRevocation, Pod, RootRotation, RootRotationStep } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, formatDuration, sleep } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { namespacesOf, rowsText } from './list-objects.ts'
import { CERTIFICATE_REVOCATIONS, PODS, ROOT_ROTATIONS } from './resource-types.ts'

/** How often a step that comes too early is tried again. */
const STEP_RETRY_MS = 250

const TITLES = ['POD', 'STATE', 'ROOT', 'SERIAL NUMBER', 'NOT AFTER', 'NOTE']

export interface CertificateRow {
  readonly pod: string
  readonly namespace: string
  readonly state: string
  readonly root: string
  readonly serialNumber: string
  readonly notAfter: string
  readonly note: string
}

/** Of workloads in the mesh and of proxies, as their agents told last. */
export async function certificateRows(context: CommandContext, client: ApiClient): Promise<CertificateRow[]> {
  const wanted = namespacesOf(context)
  const { items } = await client.list<Pod>(PODS, { signal: context.signal })
  return items.flatMap(({ metadata, status }) => {
    const certificate = status?.ambientLab?.certificate
    const { namespace: of = '' } = metadata
    if (!certificate || !(wanted.includes(undefined) || wanted.includes(of))) return []
    const { state, root = '-', serialNumber = '-', notAfter = '-', reason: note = '' } = certificate
    return { pod: metadata.name, namespace: of, state, root, serialNumber, notAfter, note }
  })
}

export function formatCertificates(rows: readonly CertificateRow[]): string {
  const hasNamespaces = new Set(rows.map(({ namespace }) => namespace)).size > 1
  const cells = rows.map(({ pod, namespace, state, root, serialNumber, notAfter, note }) => {
    return [hasNamespaces ? `${pod}.${namespace}` : pod, state, root, serialNumber, notAfter, note]
  })
  return rowsText(TITLES, cells)
}

/**
 * Takes one step between two roots as soon as nobody is cut off by it.
 * @throws CodedError TIMEOUT with what the control plane is still waiting for
 */
export async function rotateRoot(
  { flags, signal, clock, io }: CommandContext,
  client: ApiClient,
  step: RootRotationStep,
): Promise<RootRotation> {
  const timeoutMs = flags.durationMs('timeout') ?? 0
  const deadlineMs = clock.monotonic() + timeoutMs
  const rotation: RootRotation = {
    apiVersion: 'ambient.lab/v1',
    kind: 'RootRotation',
    metadata: { name: step.toLowerCase() },
    spec: { step, force: flags.boolean('force') },
  }
  let said = ''
  for (;;) {
    try {
      return await client.create(ROOT_ROTATIONS, rotation, { signal })
    } catch (error) {
      if (!CodedError.is(error, 'CONFLICT')) throw error
      if (clock.monotonic() >= deadlineMs) {
        throw new CodedError('TIMEOUT', `not after ${formatDuration(timeoutMs)}: ${error.message}`, {
          cause: error,
          next: 'ambient cert roots, ambient cert list -A; or the same with --force, which cuts them off',
        })
      }
      if (error.message !== said) io.talk(`  waiting: ${error.message}`)
      said = error.message
      await sleep(clock, STEP_RETRY_MS, signal)
    }
  }
}

/**
 * Takes the certificates back that these pods present now.
 * @returns the serial numbers, in the order of the pods
 * @throws CodedError NOT_FOUND for a pod without a certificate
 */
export async function revokeCertificates(
  { args, flags, signal }: CommandContext,
  client: ApiClient,
): Promise<readonly string[]> {
  const namespace = flags.word('namespace')
  const serialNumbers = await Promise.all(
    args.map(async (text) => {
      const name = text.replace(/^(pod|pods|po|wl)\//, '')
      const { status } = await client.get<Pod>(PODS, { name, namespace, signal })
      const serial = status?.ambientLab?.certificate?.serialNumber
      if (serial) return serial
      throw new CodedError('NOT_FOUND', `pod ${namespace}/${name} has no certificate`, { next: 'ambient cert list -A' })
    }),
  )
  const revocation: CertificateRevocation = {
    apiVersion: 'ambient.lab/v1',
    kind: 'CertificateRevocation',
    metadata: { name: '', generateName: 'revoke-' },
    spec: { serialNumbers },
  }
  await client.create(CERTIFICATE_REVOCATIONS, revocation, { signal })
  return serialNumbers
}
