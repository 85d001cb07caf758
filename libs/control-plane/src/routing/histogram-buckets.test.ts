import { expect, it } from 'vitest'
import { BUCKETS_ANNOTATION, histogramBuckets } from './histogram-buckets.ts'

it.each<[string, string | undefined, ReturnType<typeof histogramBuckets>['histogramBuckets']]>([
  ['none', undefined, undefined],
  [
    'of all',
    '{"istiocustom": [1, 5.5]}',
    { REQUEST_DURATION: [1, 5.5], REQUEST_SIZE: [1, 5.5], RESPONSE_SIZE: [1, 5.5] },
  ],
  ['of one', '{"istiocustom.istio_response_bytes": [1]}', { RESPONSE_SIZE: [1] }],
  [
    'the prefix that sorts first counts',
    '{"istiocustom.istio_request_bytes": [3], "istio": [1, 2]}',
    { REQUEST_DURATION: [1, 2], REQUEST_SIZE: [1, 2], RESPONSE_SIZE: [1, 2] },
  ],
  ['of Envoy’s own metrics', '{"cluster.xds-grpc": [1]}', undefined],
  ['no JSON', '{istio: [1]}', undefined],
  ['no object', '7', undefined],
  ['null', 'null', undefined],
  ['no list', '{"istio": 1}', undefined],
  ['no numbers', '{"istio": [1, "2"]}', undefined],
  ['that do not rise', '{"istio": [1, 1]}', undefined],
  ['no bounds', '{"istio": []}', undefined],
  ['too many', JSON.stringify({ istio: Array.from({ length: 201 }, (_, index) => index) }), undefined],
])('buckets that an annotation wants: %s', (_, annotation, expected) => {
  const annotations = annotation === undefined ? undefined : { [BUCKETS_ANNOTATION]: annotation }
  expect(histogramBuckets(annotations).histogramBuckets).toEqual(expected)
})
