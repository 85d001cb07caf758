/**
 * From objects to L7 configuration: 1,000 services behind one waypoint with 2,000 HTTPRoutes, loaded at once, then one
 * route changed at a time. Goals (issue 4): the load in a second, a change in a small part of 50 ms.
 * Run: node --conditions=@ambient-lab/source libs/control-plane/bench/translation.ts
 */
import { HTTP_ROUTES } from '../src/stored-kinds.ts'
import { L7Mesh, route } from '../src/translate/l7-mesh.conformance.ts'

const SERVICES = 1000
const ROUTES = 2000
const CHANGES = 500
const ROUNDS = 5

const loadsMs: number[] = []
const changesMs: number[] = []
for (let round = 0; round < ROUNDS; round += 1) {
  const mesh = new L7Mesh()
  await mesh.fill({ services: SERVICES, routes: ROUTES })
  const loadAt = performance.now()
  const translator = mesh.translate()
  loadsMs.push(performance.now() - loadAt)
  const before = translator.translationCount
  for (let change = 0; change < CHANGES; change += 1) {
    const index = (change * 37) % ROUTES
    const changeAt = performance.now()
    await mesh.put(HTTP_ROUTES, route(`r${index}`, `s${index % SERVICES}`, `/v${index}/${round}-${change}`))
    changesMs.push(performance.now() - changeAt)
  }
  const perChange = (translator.translationCount - before) / CHANGES
  if (round === 0) console.log(`objects translated for one changed route: ${perChange}`)
}

console.log(`load of ${SERVICES} services and ${ROUTES} routes: ${percentile(loadsMs, 50).toFixed(0)} ms (goal: 1000)`)
console.log(
  `one route changed: p50 ${percentile(changesMs, 50).toFixed(2)} ms, p99 ${percentile(changesMs, 99).toFixed(2)} ms`,
)

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]!
}
