import { allViews } from '../shell/registry.ts'
import { defineTextView } from '../shell/text-view.ts'

export default defineTextView({
  id: 'aliases',
  names: ['alias', 'aliases'],
  title: () => 'views',
  lines: () =>
    allViews().map(({ title, names }) => `${title.padEnd(16)} ${names.map((name) => `:${name}`).join('  ')}`),
  command: () => 'ambient keys --views',
})
