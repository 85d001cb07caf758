import type { KeyBinding, ViewDefinition } from './view.ts'

/** Keys that mean the same in every view. The only place where they are bound; a view's own key of the same name wins. */
export const GLOBAL_KEYS = [
  { id: 'goto', keys: [':'], hint: '<:>go to', help: 'go to a view' },
  { id: 'filter', keys: ['/'], hint: '</>filter', help: 'filter: text, !not, or =expression over columns' },
  { id: 'back', keys: ['esc'], help: 'clear the filter, then back' },
  { id: 'leave', keys: ['q'], help: 'back; at the root quit' },
  { id: 'quit', keys: ['ctrl-c'], help: 'quit' },
  { id: 'previous', keys: ['-'], help: 'the last view' },
  { id: 'history-back', keys: ['['], help: 'history back' },
  { id: 'history-forward', keys: [']'], help: 'history forward' },
  { id: 'down', keys: ['j', 'down'], help: 'down' },
  { id: 'up', keys: ['k', 'up'], help: 'up' },
  { id: 'top', keys: ['g', 'home'], help: 'first row' },
  { id: 'bottom', keys: ['G', 'end'], help: 'last row' },
  { id: 'page-down', keys: ['ctrl-f', 'pagedown'], help: 'a page down' },
  { id: 'page-up', keys: ['ctrl-b', 'pageup'], help: 'a page up' },
  {
    id: 'namespace',
    keys: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    help: '0 all namespaces, 1-9 one of them',
  },
  { id: 'sort-left', keys: ['shift-left'], help: 'sort by the column to the left' },
  { id: 'sort-right', keys: ['shift-right'], help: 'sort by the column to the right' },
  { id: 'wide', keys: ['ctrl-w'], help: 'all columns' },
  { id: 'problems', keys: ['ctrl-z'], help: 'problems only' },
  { id: 'freeze', keys: ['f'], help: 'freeze the picture; data keeps coming' },
  { id: 'header', keys: ['ctrl-e'], help: 'hide or show the header' },
  { id: 'crumbs', keys: ['ctrl-g'], help: 'hide or show the crumbs' },
  { id: 'aliases', keys: ['ctrl-a'], help: 'the names of all views' },
  { id: 'commands', keys: ['@'], help: 'the commands this session ran' },
  { id: 'copy-command', keys: ['ctrl-y'], help: 'copy the command on the last line' },
  { id: 'compose', keys: ['!'], help: 'run an ambient command' },
  { id: 'read-only', keys: ['ctrl-t'], help: 'read-only on or off' },
  { id: 'heal-all', keys: ['ctrl-l'], help: 'HEAL ALL faults', danger: true },
  { id: 'help', keys: ['?'], hint: '<?>help', help: 'this page' },
] as const satisfies readonly KeyBinding[]

export type GlobalKeyId = (typeof GLOBAL_KEYS)[number]['id']

/** @returns the global binding of a key, unless the view binds it itself */
export function globalBinding(key: string, view: ViewDefinition): GlobalKeyId | undefined {
  if (view.keys.some(({ keys }) => keys.includes(key))) return undefined
  return GLOBAL_KEYS.find(({ keys }) => (keys as readonly string[]).includes(key))?.id
}

/** Row 2: the view's hints, most used first, then the global ones; what changes the lab is left out when read-only. */
export function keyHints(view: ViewDefinition, readOnly: boolean): string[] {
  const usable = (binding: KeyBinding) => binding.hint && !(readOnly && binding.danger)
  return [...view.keys, ...(GLOBAL_KEYS as readonly KeyBinding[])].filter(usable).map(({ hint }) => hint!)
}
