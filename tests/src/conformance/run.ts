import { matchesGlob } from 'node:path'
import { defineCatalog, errorMessage } from '@ambient-lab/std'
import type { CorpusFolder } from './corpus.ts'
import type { CorpusCase, Judge, JudgeContext, Judgement, Result, Verdict } from './judge.ts'
import catalog from './judges/_catalog.ts'

/** One case and what became of it. */
export interface Row {
  readonly corpus: string
  readonly id: string
  readonly area: string
  readonly result: Result
  /** Undefined when it passed. */
  readonly reason?: string
  /** The case itself when it is a single check. */
  readonly checks: readonly { readonly name: string; readonly result: Result; readonly reason?: string }[]
}

const JUDGES = defineCatalog(catalog as readonly unknown[] as readonly Judge[], ({ corpus }) => corpus)

export function judgeOf(corpus: string): Judge | undefined {
  return JUDGES.get(corpus)
}

/** Whether a case is asked for: its corpus, or `corpus/id`, matches. */
export function isChosen(only: string | undefined, corpus: string, id: string): boolean {
  if (only === undefined) return true
  return corpus === only || matchesGlob(corpus, only) || matchesGlob(`${corpus}/${id}`, only)
}

/** Judges every chosen case of one corpus, in its order. A corpus that nobody can judge is skipped, case by case. */
export async function runCorpus(folder: CorpusFolder, only?: string): Promise<readonly Row[]> {
  const chosen = folder.cases().filter(({ id }) => isChosen(only, folder.name, id))
  const judge = judgeOf(folder.name)
  if (!judge) {
    return chosen.map((item) => rowOf(folder, item, { result: 'skipped', reason: 'no judge for this corpus' }))
  }
  const context = new SharedContext(folder)
  const rows: Row[] = []
  try {
    for (const item of chosen) rows.push(rowOf(folder, item, await judgeCase(judge, item, context)))
  } finally {
    await context[Symbol.asyncDispose]()
  }
  return rows
}

async function judgeCase(judge: Judge, item: CorpusCase, context: JudgeContext): Promise<Judgement> {
  try {
    return await judge.judge(item, context)
  } catch (error) {
    return { result: 'failed', reason: `threw: ${errorMessage(error)}` }
  }
}

function rowOf(folder: CorpusFolder, { id, area }: CorpusCase, judgement: Judgement): Row {
  const base = { corpus: folder.name, id, area }
  if ('result' in judgement) return { ...base, ...judgement, checks: [{ name: id, ...judgement }] }
  return { ...base, ...summaryOf(judgement.checks), checks: judgement.checks }
}

/** A case failed when a check failed; it passed only when all of them did. */
function summaryOf(checks: readonly (Verdict & { readonly name: string })[]): Verdict {
  const told = (result: Result) =>
    checks.flatMap((check) => (check.result === result && 'reason' in check ? `${check.name}: ${check.reason}` : []))
  if (checks.length === 0) return { result: 'failed', reason: 'the case holds no check' }
  const [failures, skips] = [told('failed'), told('skipped')]
  if (failures.length > 0) return { result: 'failed', reason: failures.join('\n') }
  if (skips.length === 0) return { result: 'passed' }
  const passed = checks.length - skips.length
  return {
    result: 'skipped',
    reason: passed > 0 ? `${passed} of ${checks.length} checks passed; ${skips[0]}` : skips[0]!,
  }
}

class SharedContext implements JudgeContext, AsyncDisposable {
  readonly folder: CorpusFolder
  readonly #made = new Map<(folder: CorpusFolder) => unknown, unknown>()

  constructor(folder: CorpusFolder) {
    this.folder = folder
  }

  once<T>(make: (folder: CorpusFolder) => T): T {
    if (!this.#made.has(make)) this.#made.set(make, make(this.folder))
    return this.#made.get(make) as T
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const made of [...this.#made.values()].reverse()) {
      const value = (await made) as Partial<Disposable & AsyncDisposable> | undefined
      await value?.[Symbol.asyncDispose]?.()
      value?.[Symbol.dispose]?.()
    }
  }
}
