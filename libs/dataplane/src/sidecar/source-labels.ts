import type { FilterChain } from '@ambient-lab/xds'

type Labels = Readonly<Record<string, string>>

/** A chain that several sidecars share, as one of them has it: routes for workloads with other labels are left out. */
export function withoutOthersRoutes(chain: FilterChain, labels: Labels): FilterChain {
  const { http, tcp } = chain
  return {
    ...chain,
    ...(http && {
      http: {
        ...http,
        virtualHosts: http.virtualHosts.map((host) => ({
          ...host,
          routes: host.routes.filter(({ match }) => isFor(match.sourceLabels, labels)),
        })),
      },
    }),
    ...(tcp && { tcp: { ...tcp, routes: tcp.routes.filter(({ sourceLabels }) => isFor(sourceLabels, labels)) } }),
  }
}

function isFor(wanted: Labels | undefined, labels: Labels): boolean {
  return wanted === undefined || Object.entries(wanted).every(([key, value]) => labels[key] === value)
}
