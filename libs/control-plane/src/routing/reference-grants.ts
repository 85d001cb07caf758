import { REFERENCE_GRANTS } from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'

interface ReferenceFrom {
  readonly group: string
  readonly kind: string
  readonly namespace: string
}

interface ReferenceTo {
  readonly group: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** Whether an object may refer to one of another namespace: that namespace has a ReferenceGrant which says so. */
export function isGranted(view: Pick<TranslationView, 'list'>, from: ReferenceFrom, to: ReferenceTo): boolean {
  if (from.namespace === to.namespace) return true
  return view
    .list(REFERENCE_GRANTS, to.namespace)
    .some(
      ({ spec }) =>
        spec?.from.some(
          ({ group, kind, namespace }) => group === from.group && kind === from.kind && namespace === from.namespace,
        ) &&
        spec.to.some(({ group, kind, name }) => group === to.group && kind === to.kind && (!name || name === to.name)),
    )
}
