/** `npm test`: lints, checks types, tests every project through Nx, and ends with one line of totals. */
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

const { status } = spawnSync(
  'nx',
  ['run-many', '-t', 'lint', 'typecheck', 'test', '--outputStyle=static', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
    env: { ...process.env, NX_DAEMON: process.env.NX_DAEMON ?? 'false' },
  },
)

const totals = { passed: 0, failed: 0, skipped: 0 }
for (const file of globSync('test-results/*.json')) {
  const report = JSON.parse(readFileSync(file, 'utf8'))
  totals.passed += report.numPassedTests
  totals.failed += report.numFailedTests + report.testResults.filter(failedOutsideTests).length
  totals.skipped += report.numPendingTests + (report.numTodoTests ?? 0)
}

if (status !== 0) process.stdout.write('\nsome tasks failed: see above\n')
process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`)
process.exit(status ?? 1)

/** A file that failed without a test of it failing: while it was read, or in a hook. */
function failedOutsideTests(file: { status: string; assertionResults: { status: string }[] }): boolean {
  return file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed')
}
