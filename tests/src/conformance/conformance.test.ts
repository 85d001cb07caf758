import { describe, expect, it } from 'vitest'
import { defaultCorpora, findCorpora } from './corpus.ts'
import { judgeOf, runCorpus } from './run.ts'

const path = defaultCorpora(process.env)
const folders = (findCorpora(path) ?? []).filter(({ name }) => judgeOf(name))

if (folders.length === 0) it.skip(`no corpora in ${path}: AMBIENT_CORPUS names their folder`, () => {})

describe.runIf(folders.length > 0)('cases that others wrote', () => {
  it.each(folders)('$name', { timeout: 300_000 }, async (folder) => {
    const rows = await runCorpus(folder)
    expect(rows.length).toBeGreaterThan(0)
    expect(rows.filter(({ result }) => result === 'failed').map(({ id, reason }) => ({ id, reason }))).toEqual([])
    for (const { result, reason } of rows) if (result === 'skipped') expect(reason).toMatch(/\w/)
  })
})
