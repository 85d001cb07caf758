/** A number, or a share of some whole: `25%`. */
export type IntOrString = number | string

/**
 * `25%` of 10 → 2.5 rounded as asked; a number is itself; undefined for any other text.
 * @param round up for what may be added (maxSurge), down for what may be missing (maxUnavailable)
 */
export function resolvePercent(value: IntOrString, whole: number, round: 'up' | 'down'): number | undefined {
  if (typeof value === 'number') return value
  const match = /^(\d{1,5})%$/.exec(value)
  if (!match) return /^\d{1,9}$/.test(value) ? Number(value) : undefined
  const share = (Number(match[1]) * whole) / 100
  return round === 'up' ? Math.ceil(share) : Math.floor(share)
}

/**
 * A Service's targetPort on one pod: its number, or the port of that name among the containers' ports.
 * @returns undefined when no container has a port of that name
 */
export function resolveTargetPort(
  target: IntOrString,
  containers: readonly {
    readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly protocol?: string }[]
  }[],
  protocol = 'TCP',
): number | undefined {
  if (typeof target === 'number') return target
  if (/^\d+$/.test(target)) return Number(target)
  return containers
    .flatMap(({ ports = [] }) => ports)
    .find((port) => port.name === target && (port.protocol ?? 'TCP') === protocol)?.containerPort
}
