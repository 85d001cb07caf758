import type { CorpusFolder } from './corpus.ts'

/** One item of a corpus, as its cases.json has it: what else is in it only the corpus's judge knows. */
export interface CorpusCase {
  readonly id: string
  readonly area: string
}

export type Result = 'passed' | 'failed' | 'skipped'

/** What a judge says about one case, or about one check of it. */
export type Verdict =
  | { readonly result: 'passed' }
  | { readonly result: 'failed'; readonly reason: string }
  /** The reason says what the lab lacks, or why nobody could tell. */
  | { readonly result: 'skipped'; readonly reason: string }

/** A case may hold several checks that stand for themselves, such as the calls of one scenario. */
export type Judgement = Verdict | { readonly checks: readonly (Verdict & { readonly name: string })[] }

export interface JudgeContext {
  readonly folder: CorpusFolder
  /**
   * What all cases of a corpus share, made when the first asks for it and disposed of after the last.
   * @param make is the key too: the same function answers the same thing
   */
  once<T>(make: (folder: CorpusFolder) => T): T
}

/** Judges the cases of one corpus. A file of judges/ that default-exports one is its registration. */
export interface Judge<C extends CorpusCase = CorpusCase> {
  /** The folder's name, and `corpus` in its cases.json. */
  readonly corpus: string
  /** What it throws fails the case. */
  judge(item: C, context: JudgeContext): Judgement | Promise<Judgement>
}

export function defineJudge<C extends CorpusCase>(judge: Judge<C>): Judge<C> {
  return judge
}

export const PASSED: Verdict = { result: 'passed' }

export function failed(reason: string): Verdict {
  return { result: 'failed', reason }
}

export function skipped(reason: string): Verdict {
  return { result: 'skipped', reason }
}
