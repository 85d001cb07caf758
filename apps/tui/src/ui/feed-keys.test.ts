import type { Key } from 'ink'
import { expect, test } from 'vitest'
import { feedKeys } from './feed-keys.ts'

const NONE = {} as Key

function feed(input: string, prompt?: unknown): string[] {
  const pressed: string[] = []
  const shell = { state: { prompt }, press: (key: string) => pressed.push(key) }
  feedKeys(shell, input, NONE)
  return pressed
}

test.each([
  ['j', ['j']],
  ['jjk', ['j', 'j', 'k']],
  ['g\u000b', ['g', 'ctrl-k']],
  ['G\u0004', ['G', 'ctrl-d']],
  ['j\r', ['j', 'enter']],
  ['a b', ['a', 'space', 'b']],
])('%j is struck as %j', (input, keys) => {
  expect(feed(input)).toEqual(keys)
})

test.each([
  ['nodes', ['nodes']],
  ['nodes\r', ['nodes', 'enter']],
  ['3\r', ['3', 'enter']],
  ['\rS', ['enter', 'S']],
  ['wl\nrm -rf', ['wl\nrm -rf']],
  ['wl\nrm\r', ['wl\nrm']],
])('a prompt takes %j as %j', (input, keys) => {
  expect(feed(input, { kind: 'goto', text: '' })).toEqual(keys)
})
