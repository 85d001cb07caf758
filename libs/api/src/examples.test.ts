import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { formatFinding, loadManifest } from './manifest.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
describe('our own examples load without a word', () => {
  const files = globSync('examples/**/*.yaml', { cwd: ROOT })

  test('there are some', () => {
    expect(files.length).toBeGreaterThan(5)
  })

  test.each(files)('%s', async (file) => {
    const manifest = await loadManifest(readFileSync(join(ROOT, file), 'utf8'), {
      file: relative(ROOT, join(ROOT, file)),
    })
    expect(manifest.resources.length).toBeGreaterThan(0)
    expect(manifest.unknownKinds).toEqual([])
    expect(manifest.warnings.map(formatFinding)).toEqual([])
  })
})
