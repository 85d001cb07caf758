import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '@ambient-lab/testing'
import { describe, expect, it } from 'vitest'
import { findCorpora } from './corpus.ts'
import { formatReport } from './report.ts'
import { isChosen, runCorpus } from './run.ts'

const BAGGAGE = { area: 'headers', kind: 'parseBaggage', headers: ['k8s.cluster.name=c1'] }

/** A folder of corpora: one that nobody can judge, and one with a case for each outcome. */
async function corporaOf(corpora: Readonly<Record<string, readonly object[]>>) {
  const folder = await temporaryFolder()
  for (const [corpus, items] of Object.entries(corpora)) {
    mkdirSync(join(folder.path, corpus))
    writeFileSync(join(folder.path, corpus, 'cases.json'), JSON.stringify({ corpus, items }))
  }
  return folder
}

describe('the harness', () => {
  it('says of every case what became of it', async () => {
    await using folder = await corporaOf({
      unheard: [{ id: 'a', area: 'x' }],
      ztunnel: [
        { ...BAGGAGE, id: 'right', expected: { clusterId: 'c1' } },
        { ...BAGGAGE, id: 'wrong', expected: { clusterId: 'c2' } },
        { id: 'broken', area: 'headers', kind: 'parseBaggage' },
        { id: 'new', area: 'headers', kind: 'telepathy' },
      ],
    })
    const rows = (await Promise.all((findCorpora(folder.path) ?? []).map((corpus) => runCorpus(corpus)))).flat()
    expect(rows.map(({ corpus, id, result }) => `${corpus}/${id} ${result}`)).toEqual([
      'unheard/a skipped',
      'ztunnel/right passed',
      'ztunnel/wrong failed',
      'ztunnel/broken failed',
      'ztunnel/new skipped',
    ])
    expect(rows[0]?.reason).toBe('no judge for this corpus')
    expect(rows[2]?.reason).toBe('want {"clusterId":"c2"}\ngot  {"clusterId":"c1"}')
    expect(rows[4]?.reason).toBe('no judge for kind "telepathy"')
    expect(formatReport(rows)).toMatch(/\n1 passed, 2 failed, 2 skipped$/)
  })

  it('knows no corpora where there is no folder, and refuses a cases.json of another shape', async () => {
    await using folder = await corporaOf({ ztunnel: [{ area: 'without id' }] })
    expect(findCorpora(join(folder.path, 'absent'))).toBeUndefined()
    const [corpus] = findCorpora(folder.path) ?? []
    await expect(runCorpus(corpus!)).rejects.toThrow('without id or area')
  })

  it.each([
    [undefined, true],
    ['ztunnel', true],
    ['zt*', true],
    ['ztunnel/dns/*', true],
    ['ztunnel/**', true],
    ['ztunnel/dns/02', false],
    ['istio-*', false],
  ])('--only %s', (only, chosen) => {
    expect(isChosen(only, 'ztunnel', 'dns/01')).toBe(chosen)
  })
})
