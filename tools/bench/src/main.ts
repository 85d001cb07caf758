/**
 * `npm run bench -- SUITE [--rounds N] [--set NAME=VALUE] [--json FILE] [--baseline FILE | --check]`: measures us and our
 * peers in one run, in interleaved rounds, and prints ratios of medians. `--check` compares with the baseline in the
 * repository. Exit 1: a ratio fell behind the baseline's by more than the tolerance, or a suite's promise was broken.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, type Report, renderTable } from './report.ts'
import suites from './suites/_catalog.ts'

/** A ratio may be this much worse than the baseline's before it counts as a regression: the noise of shared machines. */
const REGRESSION_TOLERANCE = 0.25

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    json: { type: 'string' },
    baseline: { type: 'string' },
    check: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
  },
})
const suite = suites.find(({ name }) => name === positionals[0])
if (!suite) {
  console.error(
    `usage: npm run bench -- SUITE [--rounds N] [--set NAME=VALUE] [--json FILE] [--baseline FILE | --check]\n`,
  )
  for (const { name, summary } of suites) console.error(`  ${name.padEnd(10)} ${summary}`)
  process.exit(64)
}

const rounds = Number(values.rounds ?? suite.roundsDefault)
const { rows, versions } = await suite.run({
  rounds,
  options: Object.fromEntries(values.set.map((text) => text.split('=', 2) as [string, string])),
  say: (line) => console.error(line),
})
const report: Report = {
  suite: suite.name,
  machine: describeMachine(),
  versions: { node: process.version, ...versions },
  rounds,
  rows,
}
console.log(renderTable(report))
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
const baseline = values.check ? join(import.meta.dirname, `../baselines/${suite.name}.json`) : values.baseline
if (baseline) process.exitCode = regressions(JSON.parse(readFileSync(baseline, 'utf8')), report) ? 1 : 0
if (suite.isCheck && rows.some(({ met }) => met === false)) process.exitCode = 1
process.exit()

function regressions(baseline: Report, now: Report): boolean {
  let worse = false
  for (const row of now.rows) {
    const before = baseline.rows.find(({ work, peer }) => work === row.work && peer === row.peer)
    if (!before?.ratio || !row.ratio) continue
    const change = isRate(row.unit) ? before.ratio / row.ratio : row.ratio / before.ratio
    if (change <= 1 + REGRESSION_TOLERANCE) continue
    worse = true
    console.error(`slower: ${row.work} against ${row.peer}: ratio ${before.ratio.toFixed(2)} → ${row.ratio.toFixed(2)}`)
  }
  return worse
}

/** Of a rate more is better; of time and memory, less. */
function isRate(unit: string): boolean {
  return unit.endsWith('/s')
}
