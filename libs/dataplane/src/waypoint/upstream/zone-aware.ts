import type { Locality, ZoneAwareLoadBalancing } from '@ambient-lab/xds'
import type { UpstreamHost } from './host.ts'
import {
  byRank,
  failoverRegion,
  type LocalityGroup,
  labelMismatch,
  type OwnPlace,
  type PriorityLevel,
} from './locality.ts'

/** Own region, the one that it fails over to, any other. */
const REGION_RANKS = 3

/** The own region first, so that zones are weighed within it alone; among hosts that `failoverPriority` tells apart, after that. */
export function regionLevels(
  hosts: readonly UpstreamHost[],
  own: OwnPlace,
  { failover, failoverPriority }: ZoneAwareLoadBalancing,
): readonly PriorityLevel[] {
  const region = own.locality?.region ?? ''
  const toRegion = failoverRegion(failover, own)
  const mismatchOf = failoverPriority?.length ? labelMismatch(failoverPriority, own) : () => 0
  return byRank(hosts, (host) => {
    const theirs = host.locality?.region ?? ''
    const rank = theirs === region ? 0 : theirs === toRegion ? 1 : 2
    return mismatchOf(host) * REGION_RANKS + rank
  })
}

/**
 * The shares of zones within a level, as Envoy's zone aware routing has them: replicas of the proxy are taken to send
 * alike. Where the own zone has at least the share of hosts that it has of replicas, it gets all; else as much as it has
 * room for, and the others what is left by the room that each has.
 * @param hosts healthy ones of the level
 * @param peers where the replicas of this proxy are, itself among them
 * @returns undefined where zones play no part
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/zone_aware
 */
export function zoneGroups(
  hosts: readonly UpstreamHost[],
  own: OwnPlace,
  peers: readonly (Locality | undefined)[],
  minClusterSize: number,
): readonly LocalityGroup[] | undefined {
  if (hosts.length < minClusterSize) return undefined
  const upstream = Map.groupBy(hosts, ({ locality }) => zoneOf(locality))
  const local = Map.groupBy(peers, zoneOf)
  const ownZone = zoneOf(own.locality)
  if (upstream.size < 2 || local.size < 2 || !local.has(ownZone)) return undefined
  const hostShare = (zone: string) => (upstream.get(zone)?.length ?? 0) / hosts.length
  const peerShare = (zone: string) => (local.get(zone)?.length ?? 0) / peers.length
  const ownHosts = upstream.get(ownZone) ?? []
  const direct = hostShare(ownZone) / peerShare(ownZone)
  if (direct >= 1) return [{ hosts: ownHosts, weight: 1 }]
  const others = [...upstream].filter(([zone]) => zone !== ownZone)
  const rooms = others.map(([zone, members]) => ({
    hosts: members,
    room: Math.max(0, hostShare(zone) - peerShare(zone)),
  }))
  const total = rooms.reduce((sum, { room }) => sum + room, 0)
  return [
    { hosts: ownHosts, weight: direct },
    ...rooms.map(({ hosts: members, room }) => ({ hosts: members, weight: ((1 - direct) * room) / total })),
  ].filter(({ weight }) => weight > 0)
}

function zoneOf(locality: Locality | undefined): string {
  return `${locality?.region ?? ''}/${locality?.zone ?? ''}/${locality?.subzone ?? ''}`
}
