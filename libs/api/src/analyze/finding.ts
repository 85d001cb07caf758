import type { FindingCode } from './finding-codes.ts'

/** From the least to the most serious. */
export const FINDING_LEVELS = ['Info', 'Warning', 'Error'] as const
export type FindingLevel = (typeof FINDING_LEVELS)[number]

/** One thing to say about one object of the configuration. */
export interface Finding {
  readonly code: FindingCode
  readonly level: FindingLevel
  readonly object: FindingObject
  /** One sentence; Istio's own where the code is. */
  readonly message: string
  /** JSON path of the field that it is about; absent: the whole object. */
  readonly path?: string
}

export interface FindingObject {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
}

export function isAtLeast(level: FindingLevel, threshold: FindingLevel): boolean {
  return FINDING_LEVELS.indexOf(level) >= FINDING_LEVELS.indexOf(threshold)
}
