import { defineTextView } from '../shell/text-view.ts'

export default defineTextView({
  id: 'commands',
  names: ['commands'],
  title: ({ ui }) => `commands of this session[${ui.commands.length}]`,
  lines: ({ ui }) =>
    ui.commands.length > 0
      ? ui.commands.map((command) => `$ ${command}`)
      : ['none yet: what you do with keys shows up here as commands'],
  command: () => 'ambient help',
})
