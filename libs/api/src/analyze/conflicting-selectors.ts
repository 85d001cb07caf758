import podKind from '../kinds/pod.ts'
import type { Resource } from '../resource.ts'
import { matchesEvery } from '../selector.ts'
import type { AnalysisWorld } from './analysis-world.ts'
import { finding } from './analyzer.ts'
import type { Finding } from './finding.ts'
import type { FindingCode } from './finding-codes.ts'

type Labels = Readonly<Record<string, string>>

export interface SelectorRule {
  readonly objects: readonly Resource[]
  /** Undefined: the object is for its whole namespace. */
  readonly selectorOf: (object: Resource) => Labels | undefined
  readonly selectorPath: string
  /** Of two without a selector, and of two that select one pod. */
  readonly codes: readonly [FindingCode, FindingCode]
}

/** Of kinds of which a pod may have one: where it has two. */
export function* conflictingSelectors(world: AnalysisWorld, rule: SelectorRule): Iterable<Finding> {
  const { selectorOf, selectorPath, codes } = rule
  for (const [namespace, objects] of Map.groupBy(rule.objects, ({ metadata }) => metadata.namespace ?? '')) {
    const forAll = objects.filter((object) => selectorOf(object) === undefined)
    if (forAll.length > 1) {
      for (const object of forAll) yield finding(codes[0], object, [namesOf(forAll), namespace])
    }
    const told = new Set<Resource>()
    for (const pod of world.list(podKind, namespace)) {
      const selecting = objects.filter((object) => {
        const labels = selectorOf(object)
        return labels !== undefined && matchesEvery(labels, pod.metadata.labels)
      })
      if (selecting.length < 2) continue
      for (const object of selecting) {
        if (told.size === told.add(object).size) continue
        yield finding(codes[1], object, [namesOf(selecting), namespace, pod.metadata.name], selectorPath)
      }
    }
  }
}

function namesOf(objects: readonly Resource[]): string {
  return `[${objects
    .map(({ metadata }) => metadata.name)
    .sort()
    .join(' ')}]`
}
