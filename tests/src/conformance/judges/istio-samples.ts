import { formatFinding, loadManifest } from '@ambient-lab/api'

import { allOf, same } from '../expectation.ts'
import { type CorpusCase, defineJudge } from '../judge.ts'
import { breachesOf } from '../validation.ts'

export interface IstioSampleCase extends CorpusCase {
  readonly file: string
  readonly resources: readonly { readonly kind: string; readonly name: string }[]
}

/** The manifests that everybody starts with load as they are: every document is read, no field is unknown. */
export default defineJudge<IstioSampleCase>({
  corpus: 'istio-samples',
  async judge({ file, resources }, { folder }) {
    const manifest = await loadManifest(folder.text(file), { file, defaultNamespace: 'default' })
    const read = [...manifest.resources.map(({ object }) => object), ...manifest.unknownKinds]
    return allOf(
      same(read.length, resources.length),
      () => same(manifest.warnings.map(formatFinding), []),
      () =>
        same(
          manifest.resources.flatMap(({ object }) => breachesOf(object) ?? []),
          [],
        ),
    )
  },
})
