import type { Gateway, Namespace } from '@ambient-lab/api'
import {
  type ApiClient,
  isOfRevision,
  isProgrammed,
  isWaypoint,
  USE_WAYPOINT_LABEL,
  waypointGateway,
} from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { GATEWAYS, NAMESPACES } from './resource-types.ts'
import { waitUntil } from './wait-until.ts'

const DATAPLANE_MODE = 'istio.io/dataplane-mode'

/** The Gateway that the flags of a command describe. */
export function describedWaypoint({ flags }: CommandContext): Gateway {
  return waypointGateway({
    name: flags.word('name'),
    namespace: flags.word('namespace'),
    traffic: flags.text('for'),
    revision: flags.text('revision'),
  })
}

/** Applies it, waits for it, and has its namespace use it, in istioctl's order and with its words. */
export async function applyWaypoint(context: CommandContext): Promise<void> {
  const { flags, io, signal } = context
  const gateway = describedWaypoint(context)
  const { name, namespace = '' } = gateway.metadata
  const client = await context.api()
  const enrols = flags.boolean('enroll-namespace')
  if (enrols) await checkEnrolment(context, client, namespace, name)
  await client.applyPatch(GATEWAYS, gateway, { signal })
  io.answer(`✅ waypoint ${namespace}/${name} applied\n`)
  if (flags.boolean('wait')) {
    await waitForWaypoints(context, client, namespace, (waypoint) => waypoint.metadata.name === name)
    io.answer(`✅ waypoint ${namespace}/${name} is ready!\n`)
  }
  if (!enrols) return
  const labels = { [USE_WAYPOINT_LABEL]: name }
  await client.mergePatch(NAMESPACES, { name: namespace }, { metadata: { labels } }, { signal })
  io.answer(`✅ namespace ${namespace} labeled with "${USE_WAYPOINT_LABEL}: ${name}"\n`)
}

/** Before anything is written: a namespace that uses another waypoint keeps it unless told otherwise. */
async function checkEnrolment(
  { flags, io, signal }: CommandContext,
  client: ApiClient,
  namespace: string,
  name: string,
): Promise<void> {
  const { metadata } = await client.get<Namespace>(NAMESPACES, { name: namespace, signal })
  if (metadata.labels?.[DATAPLANE_MODE] !== 'ambient') {
    const command = `ambient label ns/${namespace} ${DATAPLANE_MODE}=ambient`
    io.answer(`⚠️ Warning: namespace is not enrolled in ambient. Consider running \`${command}\`\n`)
  }
  const used = metadata.labels?.[USE_WAYPOINT_LABEL]
  if (used === undefined || used === name || flags.boolean('overwrite')) return
  throw new CodedError('ALREADY_EXISTS', `namespace ${namespace} uses waypoint "${used}" already`, {
    next: 'the same with --overwrite',
  })
}

/** @throws CodedError TIMEOUT, with what the first that is missing says of itself */
export async function waitForWaypoints(
  { flags, clock, signal }: CommandContext,
  client: ApiClient,
  namespace: string | undefined,
  concerns: (gateway: Gateway) => boolean,
): Promise<readonly Gateway[]> {
  const waypoints = (objects: ReadonlyMap<string, Gateway>) =>
    [...objects.values()].filter((gateway) => isWaypoint(gateway) && concerns(gateway))
  const objects = await waitUntil<Gateway>(client, GATEWAYS, {
    options: { namespace },
    done: (all) => waypoints(all).every(isProgrammed),
    describe: (all) => timedOut(waypoints(all).find((gateway) => !isProgrammed(gateway))),
    timeoutMs: flags.durationMs('waypoint-timeout') ?? 0,
    clock,
    signal,
  })
  return [...objects.values()]
}

function timedOut(gateway: Gateway | undefined): CodedError {
  const programmed = gateway?.status?.conditions?.find(({ type }) => type === 'Programmed')
  const which = gateway ? ` ${gateway.metadata.namespace}/${gateway.metadata.name}` : ''
  const why = programmed?.message ? `: ${programmed.message}` : ''
  return new CodedError('TIMEOUT', `timed out while waiting for waypoint${which}${why}`, {
    next: 'ambient waypoint status',
  })
}

/** Deletes those that are named, or all of the namespace; never a Gateway that is no waypoint. */
export async function deleteWaypoints(context: CommandContext): Promise<void> {
  const { args, flags, io, signal } = context
  const namespace = flags.word('namespace')
  const client = await context.api()
  const { items } = await client.list<Gateway>(GATEWAYS, { namespace, signal })
  const waypoints = items.filter((gateway) => isWaypoint(gateway) && isOfRevision(gateway, flags.text('revision')))
  const missing = args.find((name) => !waypoints.some(({ metadata }) => metadata.name === name))
  if (missing !== undefined) {
    throw new CodedError('NOT_FOUND', `there is no waypoint ${namespace}/${missing}`, { next: 'ambient waypoint list' })
  }
  const chosen = args.length > 0 ? waypoints.filter(({ metadata }) => args.includes(metadata.name)) : waypoints
  if (chosen.length === 0) io.talk(`no waypoints in namespace ${namespace}`)
  for (const { metadata } of chosen) {
    await client.delete(GATEWAYS, { name: metadata.name, namespace }, { signal })
    io.answer(`✅ waypoint ${namespace}/${metadata.name} deleted\n`)
  }
}
