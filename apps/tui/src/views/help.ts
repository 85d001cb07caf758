import { GLOBAL_KEYS } from '../shell/keymap.ts'
import { viewById } from '../shell/registry.ts'
import { defineTextView } from '../shell/text-view.ts'
import type { KeyBinding } from '../shell/view.ts'

/** The keys of the view one came from, then those of all views: from the tables that dispatch them. */
export default defineTextView({
  id: 'help',
  names: ['help'],
  title: ({ view }) => `help: ${view.subject ?? 'keys'}`,
  lines: ({ view, ui }) => [
    ...(view.subject
      ? [
          `KEYS OF ${view.subject.toUpperCase()}`,
          ...(viewById(view.subject)?.keys ?? []).map((key) => keyLine(key, ui.readOnly)),
          '',
        ]
      : []),
    'EVERYWHERE',
    ...GLOBAL_KEYS.map((key) => keyLine(key, ui.readOnly)),
  ],
  command: () => 'ambient keys',
})

export function keyLine({ keys, help, danger }: KeyBinding, readOnly: boolean): string {
  return `${keys
    .map((key) => `<${key}>`)
    .join(' ')
    .padEnd(24)} ${help}${danger && readOnly ? '  (read-only: off)' : ''}`
}
