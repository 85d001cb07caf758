import type { PeerAuthentication } from '@ambient-lab/api'
import { CONVERTED_PREFIX, STATIC_STRICT_NAME } from '@ambient-lab/policy'
import type { Authorization, AuthorizationMatch, WorkloadSidecar } from '@ambient-lab/xds'

/**
 * Istio's mutual TLS modes as ztunnel can enforce them: plaintext is let in or it is not. DISABLE is PERMISSIVE,
 * since ztunnel accepts HBONE in any case.
 */
type Mode = 'STRICT' | 'PERMISSIVE'

/** What holds for one workload: a mode, and the workload's ports for which the other one holds. */
export interface EffectiveMutualTls {
  readonly mode: Mode
  readonly exceptionPorts: readonly number[]
  /** The PeerAuthentication that has the exceptions. */
  readonly source: PeerAuthentication | undefined
}

/** What a sidecar makes of all three levels: it can do without mutual TLS. */
export interface SidecarMutualTls {
  readonly mode: SidecarMode
  /** Ports of the workload for which another one may hold. */
  readonly ports: ReadonlyMap<number, SidecarMode>
}

type SidecarMode = Mode | 'DISABLE'

/** The PeerAuthentications that hold for one workload, the widest first. */
export type MutualTlsLevels = readonly [
  mesh: PeerAuthentication | undefined,
  namespace: PeerAuthentication | undefined,
  workload: PeerAuthentication | undefined,
]

/** Resolves the three levels for a sidecar; UNSET inherits, the default is PERMISSIVE. */
export function sidecarMutualTls(levels: MutualTlsLevels): SidecarMutualTls {
  let mode: SidecarMode = 'PERMISSIVE'
  for (const level of levels) mode = sidecarModeOf(level?.spec?.mtls?.mode) ?? mode
  const portLevel = Object.entries(levels[2]?.spec?.portLevelMtls ?? {})
  return { mode, ports: new Map(portLevel.map(([port, own]) => [Number(port), sidecarModeOf(own.mode) ?? mode])) }
}

function sidecarModeOf(mode: string | undefined): SidecarMode | undefined {
  return mode === 'DISABLE' ? mode : modeOf(mode)
}

/** What other sidecars have to know of it. */
export function sidecarPlaintext({
  mode,
  ports,
}: SidecarMutualTls): Pick<WorkloadSidecar, 'plaintext' | 'exceptPorts'> {
  const plaintext = mode === 'DISABLE'
  const exceptPorts = [...ports].flatMap(([port, own]) => ((own === 'DISABLE') === plaintext ? [] : port))
  return { plaintext, exceptPorts: exceptPorts.sort((a, b) => a - b) }
}

/** Anybody without an identity: plaintext. */
const NO_IDENTITY: AuthorizationMatch = { notPrincipals: [{ presence: true }] }

export function isWorkloadLevel(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec?.selector?.matchLabels ?? {}).length > 0
}

/** The oldest; the same age is decided by name. */
export function oldest(policies: readonly PeerAuthentication[]): PeerAuthentication | undefined {
  const age = ({ metadata }: PeerAuthentication) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
  return policies.toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0]
}

/**
 * Resolves the three levels; UNSET inherits, the default is PERMISSIVE.
 * @param workload the oldest that selects the workload, outside the root namespace
 */
export function effectiveMutualTls(
  mesh: PeerAuthentication | undefined,
  namespace: PeerAuthentication | undefined,
  workload: PeerAuthentication | undefined,
): EffectiveMutualTls {
  let mode: Mode = 'PERMISSIVE'
  for (const level of [mesh, namespace, workload]) mode = modeOf(level?.spec?.mtls?.mode) ?? mode
  const exceptionPorts = Object.entries(workload?.spec?.portLevelMtls ?? {})
    .filter(([, { mode: portMode }]) => (modeOf(portMode) ?? mode) !== mode)
    .map(([port]) => Number(port))
    .sort((a, b) => a - b)
  return { mode, exceptionPorts, source: exceptionPorts.length > 0 ? workload : undefined }
}

function modeOf(mode: string | undefined): Mode | undefined {
  if (mode === 'STRICT') return 'STRICT'
  return mode === 'PERMISSIVE' || mode === 'DISABLE' ? 'PERMISSIVE' : undefined
}

/** `namespace/name` of the generated policies that a workload names. */
export function mutualTlsPolicies(effective: EffectiveMutualTls, rootNamespace: string): string[] {
  const { mode, source } = effective
  if (source) return [`${source.metadata.namespace ?? ''}/${convertedName(source)}`]
  return mode === 'STRICT' ? [`${rootNamespace}/${STATIC_STRICT_NAME}`] : []
}

export function staticStrictPolicy(rootNamespace: string): Authorization {
  return {
    name: STATIC_STRICT_NAME,
    namespace: rootNamespace,
    scope: 'WORKLOAD_SELECTOR',
    action: 'DENY',
    rules: [{ clauses: [{ matches: [NO_IDENTITY] }] }],
    dryRun: false,
  }
}

/** The DENY policy of a PeerAuthentication whose ports are an exception; undefined when it needs none of its own. */
export function convertPeerAuthentication(effective: EffectiveMutualTls): Authorization | undefined {
  const { mode, exceptionPorts, source } = effective
  if (!source) return undefined
  const rules =
    mode === 'STRICT'
      ? [
          {
            clauses: [
              ...exceptionPorts.map((port) => ({ matches: [{ notDestinationPorts: [port] }] })),
              { matches: [NO_IDENTITY] },
            ],
          },
        ]
      : exceptionPorts.map((port) => ({ clauses: [{ matches: [{ ...NO_IDENTITY, destinationPorts: [port] }] }] }))
  return {
    name: convertedName(source),
    namespace: source.metadata.namespace ?? '',
    scope: 'WORKLOAD_SELECTOR',
    action: 'DENY',
    rules,
    dryRun: false,
  }
}

function convertedName(policy: PeerAuthentication): string {
  return `${CONVERTED_PREFIX}${policy.metadata.name}`
}
