import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StatusError } from '../status-error.ts'
import { decodeProtobuf } from './decode.ts'

type Field = [number: number, value: bigint | string | Buffer | Field[]]

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    if (rest <= 0x7fn) return Buffer.from(bytes)
  }
}

function encode(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'bigint') return [varint(BigInt(number) << 3n), varint(value)]
      const bytes = Array.isArray(value) ? encode(value) : Buffer.from(value as string)
      return [varint((BigInt(number) << 3n) | 2n), varint(BigInt(bytes.length)), bytes]
    }),
  )
}

function body(apiVersion: string, kind: string, fields: readonly Field[]): Buffer {
  return Buffer.concat([
    Buffer.from('k8s\0'),
    encode([
      [
        1,
        [
          [1, apiVersion],
          [2, kind],
        ],
      ],
      [2, encode(fields)],
    ]),
  ])
}

describe('decodeProtobuf', () => {
  it('reads a namespace as kubectl writes it, zero fields left out', () => {
    const metadata: Field[] = [
      [1, 'shop'],
      [2, ''],
      [7, 0n],
      [8, []],
      [
        11,
        [
          [1, 'a'],
          [2, 'b'],
        ],
      ],
      [
        11,
        [
          [1, 'c'],
          [2, ''],
        ],
      ],
    ]
    expect(
      decodeProtobuf(
        body('v1', 'Namespace', [
          [1, metadata],
          [2, []],
          [3, [[1, '']]],
        ]),
      ),
    ).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', labels: { a: 'b', c: '' } },
    })
  })

  it('keeps zeros that mean something, reads bytes as base64, times and either-or', () => {
    const deployment = decodeProtobuf(
      body('apps/v1', 'Deployment', [
        [
          2,
          [
            [1, 0n],
            [
              4,
              [
                [
                  2,
                  [
                    [
                      1,
                      [
                        [1, 1n],
                        [3, '25%'],
                      ],
                    ],
                    [
                      2,
                      [
                        [1, 0n],
                        [2, 2n],
                      ],
                    ],
                  ],
                ],
              ],
            ],
          ],
        ],
      ]),
    )
    expect(deployment).toMatchObject({
      spec: { replicas: 0, strategy: { rollingUpdate: { maxUnavailable: '25%', maxSurge: 2 } } },
    })
    expect(
      decodeProtobuf(
        body('v1', 'Secret', [
          [
            2,
            [
              [1, 'k'],
              [2, 'v'],
            ],
          ],
        ]),
      ),
    ).toMatchObject({ data: { k: 'dg==' } })
    expect(decodeProtobuf(body('v1', 'Namespace', [[1, [[8, [[1, 1_000_000_000n]]]]]]))).toMatchObject({
      metadata: { creationTimestamp: '2001-09-09T01:46:40Z' },
    })
    expect(
      decodeProtobuf(
        body('v1', 'DeleteOptions', [
          [1, -1n],
          [5, 'All'],
        ]),
      ),
    ).toMatchObject({ gracePeriodSeconds: -1, dryRun: ['All'] })
  })

  it('refuses what it would have to drop, and passes over what says nothing', () => {
    const container = (extra: Field[]) => body('v1', 'Pod', [[2, [[2, [[1, 'main'], ...extra]]]]])
    expect(
      decodeProtobuf(
        container([
          [8, []],
          [15, [[1, 0n]]],
        ]),
      ),
    ).toMatchObject({ spec: { containers: [{ name: 'main' }] } })
    expect(() => decodeProtobuf(container([[15, [[1, 1n]]]]))).toThrow(expect.objectContaining({ status: 415 }))
    expect(() => decodeProtobuf(body('v1', 'Node', []))).toThrow(expect.objectContaining({ status: 415 }))
    expect(() => decodeProtobuf(body('v1', 'constructor', []))).toThrow(expect.objectContaining({ status: 415 }))
  })

  it('answers any bytes with an object or a refusal', () => {
    const refusals = (bytes: Buffer) => {
      try {
        decodeProtobuf(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(StatusError)
      }
    }
    const wrap = (raw: Uint8Array) => body('v1', 'Pod', [[2, Buffer.from(raw)]])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        refusals(Buffer.from(bytes))
        refusals(Buffer.concat([Buffer.from('k8s\0'), bytes]))
        refusals(wrap(bytes))
      }),
      { numRuns: 2000, seed: 1 },
    )
    const nested = Array.from({ length: 5000 }).reduce<Buffer>((inner) => encode([[2, inner]]), Buffer.from('x'))
    refusals(wrap(nested))
  })
})
