/**
 * `npm run bench -- SUITE [--rounds N] [--json FILE] [--baseline FILE]`: measures us and our peers in one run, in
 * interleaved rounds, and prints ratios of medians. Exit 1: a ratio fell behind the baseline's by more than a tenth.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describeMachine, type Report, renderTable } from './report.ts'
import suites from './suites/_catalog.ts'

/** A ratio may be this much worse than the baseline's before it counts as a regression: the noise of shared machines. */
const REGRESSION_TOLERANCE = 0.1

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, json: { type: 'string' }, baseline: { type: 'string' } },
})
const suite = suites.find(({ name }) => name === positionals[0])
if (!suite) {
  console.error(`usage: npm run bench -- SUITE [--rounds N] [--json FILE] [--baseline FILE]\n`)
  for (const { name, summary } of suites) console.error(`  ${name.padEnd(10)} ${summary}`)
  process.exit(64)
}

const rounds = Number(values.rounds ?? suite.roundsDefault)
const { rows, versions } = await suite.run({ rounds, say: (line) => console.error(line) })
const report: Report = {
  suite: suite.name,
  machine: describeMachine(),
  versions: { node: process.version, ...versions },
  rounds,
  rows,
}
console.log(renderTable(report))
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
if (values.baseline) process.exitCode = regressions(JSON.parse(readFileSync(values.baseline, 'utf8')), report) ? 1 : 0

function regressions(baseline: Report, now: Report): boolean {
  let worse = false
  for (const row of now.rows) {
    const before = baseline.rows.find(({ work, peer }) => work === row.work && peer === row.peer)
    if (!before?.ratio || !row.ratio) continue
    const change = row.goal.startsWith('≤') ? row.ratio / before.ratio : before.ratio / row.ratio
    if (change <= 1 + REGRESSION_TOLERANCE) continue
    worse = true
    console.error(`slower: ${row.work} against ${row.peer}: ratio ${before.ratio.toFixed(2)} → ${row.ratio.toFixed(2)}`)
  }
  return worse
}
