import { MiB } from '@ambient-lab/std'

/** One manifest's text: a second or so of parsing. The largest files that people apply, bundles of CRDs, have 2 MiB. */
export const MANIFEST_CHARACTERS_MAX = 4 * MiB

/** Objects in one manifest, items of Lists counted. */
export const MANIFEST_OBJECTS_MAX = 10_000

/**
 * How many values YAML aliases may stand for in one document, nested ones multiplied: what stops the "billion laughs".
 * Hand-written manifests use a few dozen.
 */
export const ALIAS_EXPANSIONS_MAX = 1000

/** Anchors and aliases in one document, together: looking one up costs a walk over all. */
export const ALIASES_MAX = 1000

/** Collections inside collections. Kubernetes' deepest schema has about 30. */
export const NESTING_MAX = 200
