import { parseYaml } from '@ambient-lab/api'
import type { JudgeContext } from './judge.ts'

/** The documents of a YAML file that the corpus promises to be of this shape; empty ones left out. */
export async function readDocuments<T>(folder: JudgeContext['folder'], file: string): Promise<T[]> {
  const texts = folder.text(file).split(/^---$/m)
  return (await Promise.all(texts.map((text) => parseYaml(text)))).filter(Boolean) as T[]
}
