/**
 * `npm run conformance -- [--corpus DIR] [--only GLOB] [--json FILE]`: judges every case of the corpora in a folder.
 * Exit 1: a case failed; 64: usage; 66: the folder that was asked for is not there.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultCorpora, findCorpora } from './corpus.ts'
import { formatReport } from './report.ts'
import { type Row, runCorpus } from './run.ts'

const USAGE = `usage: npm run conformance -- [--corpus DIR] [--only GLOB] [--json FILE]

  --corpus DIR   folder of corpora, each with a cases.json (default: AMBIENT_CORPUS, ../shared/corpus)
  --only GLOB    a corpus, or CORPUS/CASE: ztunnel, 'istio-*', 'ztunnel/dns/**'
  --json FILE    one row for each case
`

interface Options {
  readonly corpus?: string
  readonly only?: string
  readonly json?: string
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args)
  if (!options) {
    process.stderr.write(USAGE)
    return 64
  }
  const path = options.corpus === undefined ? defaultCorpora(process.env) : resolve(options.corpus)
  const folders = findCorpora(path)
  if (!folders) {
    process.stdout.write(`no corpora in ${path}: nothing to judge (--corpus or AMBIENT_CORPUS names the folder)\n`)
    return options.corpus === undefined ? 0 : 66
  }
  const rows: Row[] = []
  for (const folder of folders) rows.push(...(await runCorpus(folder, options.only)))
  process.stdout.write(`${formatReport(rows)}\n`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, null, 1)}\n`)
  return rows.some(({ result }) => result === 'failed') ? 1 : 0
}

function parseOptions(args: readonly string[]): Options | undefined {
  const text = { type: 'string' } as const
  try {
    return parseArgs({ args: [...args], options: { corpus: text, only: text, json: text } }).values
  } catch {
    return undefined
  }
}
