import { failed, PASSED, type Verdict } from './judge.ts'

type Json = unknown

/** Passed when both are the same JSON, in whatever order their keys are; a field that is undefined is not there. */
export function same(got: Json, want: Json): Verdict {
  const gotText = canonicalJson(got)
  const wantText = canonicalJson(want)
  return gotText === wantText ? PASSED : failed(`want ${wantText}\ngot  ${gotText}`)
}

/** The first verdict that is not passed, so that later ones need not make sense after it. */
export function allOf(...verdicts: readonly (Verdict | (() => Verdict))[]): Verdict {
  for (const one of verdicts) {
    const verdict = typeof one === 'function' ? one() : one
    if (verdict.result !== 'passed') return verdict
  }
  return PASSED
}

/** Passed when both texts are the same byte for byte; else the first line in which they differ. */
export function sameText(got: string, want: string): Verdict {
  if (got === want) return PASSED
  const gotLines = got.split('\n')
  const wantLines = want.split('\n')
  const line = wantLines.findIndex((text, index) => text !== gotLines[index])
  const at = line < 0 ? wantLines.length : line
  return failed(`line ${at + 1}\nwant ${JSON.stringify(wantLines[at])}\ngot  ${JSON.stringify(gotLines[at])}`)
}

export function canonicalJson(value: Json): string {
  return JSON.stringify(sortKeys(value)) ?? 'undefined'
}

function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, part]) => part !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, part]) => [key, sortKeys(part)]))
}
