import type { Key } from 'ink'
import { characterName, keyName } from './key-name.ts'

export interface KeyTaker {
  readonly state: { readonly prompt: unknown }
  press(key: string, text: string): void
}

/**
 * Gives what the terminal sent to the shell, key by key. A text that came in one piece is many keys, except to a prompt,
 * which takes it as text; a line end at its very end is the Enter that was struck after it, one inside it is pasted.
 */
export function feedKeys(shell: KeyTaker, input: string, key: Key): void {
  if (input.length < 2 || key.ctrl || key.meta)
    return shell.press(keyName(input, key), key.ctrl || key.meta ? '' : input)
  const characters = [...input]
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index]!
    if (shell.state.prompt && !isLineEnd(character)) return feedPrompt(shell, characters.slice(index).join(''))
    shell.press(character === ' ' ? 'space' : characterName(character), character)
  }
}

function isLineEnd(character: string): boolean {
  return character === '\r' || character === '\n'
}

function feedPrompt(shell: KeyTaker, text: string): void {
  const body = text.replace(/[\r\n]$/, '')
  if (body.length === 1) shell.press(characterName(body), body)
  else if (body !== '') shell.press(body, body)
  if (body !== text && !/[\r\n]/.test(body)) shell.press('enter', '')
}
