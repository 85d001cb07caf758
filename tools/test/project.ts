/** Runs one project's tests and leaves `test-results/<project>.json` for the summary. Run at the repository's root. */
import { spawnSync } from 'node:child_process'

const project = process.argv[2]
if (!project) throw new Error('usage: node tools/test/project.ts PROJECT')
const results = `test-results/${project.replace('@ambient-lab/', '')}.json`
const { status, signal } = spawnSync(
  'vitest',
  [
    'run',
    '--project',
    project,
    '--passWithNoTests',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...process.argv.slice(3),
  ],
  { stdio: 'inherit' },
)
process.exit(signal ? 1 : (status ?? 1))
