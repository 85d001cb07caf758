import { canonicalizePath, mergeSlashes, normalizePath, removeQueryAndFragment } from '@ambient-lab/dataplane'
import { allOf, same } from '../expectation.ts'
import { type CorpusCase, defineJudge, skipped } from '../judge.ts'

export interface PathCase extends CorpusCase {
  readonly kind: string
  readonly input: string
  readonly expected: { readonly path?: string; readonly rejected?: boolean }
}

/** Envoy's path utilities, from its own tests. */
export default defineJudge<PathCase>({
  corpus: 'envoy-path',
  judge({ kind, input, expected }) {
    switch (kind) {
      case 'normalizePath':
        return allOf(
          same(outcome(canonicalizePath(input)), expected),
          same(outcome(normalizePath(input, 'BASE')), expected),
        )
      case 'mergeSlashes':
        return same(outcome(mergeSlashes(input)), expected)
      case 'removeQueryAndFragment':
        return same(outcome(removeQueryAndFragment(input)), expected)
      default:
        return skipped(`no judge for kind "${kind}"`)
    }
  },
})

function outcome(path: string | undefined): PathCase['expected'] {
  return path === undefined ? { rejected: true } : { path }
}
