import type { Style } from '../cli/io.ts'
import type { CheckFinding } from './check.ts'

const STYLES: Readonly<Record<CheckFinding['level'], Style>> = { ok: 'good', WARN: 'warning', FAIL: 'bad' }
const TEXT_WIDTH = 66

/** Stage by stage; `short` leaves out what is well. */
export function plainText(
  findings: readonly CheckFinding[],
  stages: readonly CheckFinding['stage'][],
  options: { short: boolean; paint: (style: Style, text: string) => string },
): string {
  return stages
    .map((stage) => {
      const own = findings.filter((finding) => finding.stage === stage && !(options.short && finding.level === 'ok'))
      if (own.length === 0) return ''
      return `${stage}\n${own.map((finding) => line(finding, options.paint)).join('')}`
    })
    .join('')
}

function line({ level, text, next }: CheckFinding, paint: (style: Style, text: string) => string): string {
  const word = paint(STYLES[level], level.padEnd(4))
  return `  ${word}  ${next === undefined ? text : `${text.padEnd(TEXT_WIDTH)} ${next}`}\n`
}

export function jsonText(findings: readonly CheckFinding[]): string {
  return `${JSON.stringify({ schema: 'ambient.lab/check/1', items: findings }, null, 2)}\n`
}

/** One test case per finding; warnings pass and say so in their output. */
export function junitText(findings: readonly CheckFinding[]): string {
  const cases = findings.map(({ stage, level, text, next = '' }) => {
    const open = `    <testcase classname="${xml(stage)}" name="${xml(text)}"`
    if (level === 'FAIL') return `${open}><failure message="${xml(text)}">${xml(next)}</failure></testcase>`
    return level === 'WARN' ? `${open}><system-out>${xml(`WARN ${next}`)}</system-out></testcase>` : `${open}/>`
  })
  const failures = findings.filter(({ level }) => level === 'FAIL').length
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n  <testsuite name="ambient check" tests="${findings.length}" failures="${failures}">\n${cases.join('\n')}\n  </testsuite>\n</testsuites>\n`
}

function xml(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
