import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { applyDefaults } from './apply-defaults.ts'
import { formatFinding, loadManifest } from './manifest.ts'
import { validateResource } from './validate.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const CORPUS = resolve(ROOT, process.env.AMBIENT_CORPUS ?? '../shared/corpus', 'istio-samples')

interface Case {
  readonly id: string
  readonly file: string
  readonly resources: readonly unknown[]
}

describe.runIf(existsSync(CORPUS))('Istio’s samples load as they are', () => {
  const cases: readonly Case[] = existsSync(CORPUS)
    ? JSON.parse(readFileSync(join(CORPUS, 'cases.json'), 'utf8')).items
    : []

  test.each(cases.map((item) => [item.id, item] as const))('%s', async (_, item) => {
    const text = readFileSync(join(CORPUS, item.file), 'utf8')
    const manifest = await loadManifest(text, { file: item.file, defaultNamespace: 'default' })
    expect(manifest.resources.length + manifest.unknownKinds.length).toBe(item.resources.length)
    expect(manifest.warnings.map(formatFinding)).toEqual([])
    for (const { definition, object } of manifest.resources) {
      expect(validateResource(definition, applyDefaults(definition, object)).errors).toEqual([])
    }
  })
})

if (!existsSync(CORPUS)) test.skip('Istio’s samples: no corpus here (AMBIENT_CORPUS names its folder)', () => {})

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
