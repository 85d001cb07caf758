import { VirtualClock } from '@ambient-lab/std'
import { expect, test, vi } from 'vitest'
import { bookinfoSnapshot } from '../model/bookinfo.fixture.ts'
import { buildModel, type LabModel } from '../model/lab-model.ts'
import { TrafficHistory } from '../model/traffic-history.ts'
import { GLOBAL_KEYS } from './keymap.ts'
import { currentView } from './navigation.ts'
import { allViews } from './registry.ts'
import { type CommandResult, Shell, splitWords } from './shell.ts'

const OK: CommandResult = { code: 0, stdout: 'fault/f-1 created\n', stderr: '' }

function setUp(options: { view?: string; result?: CommandResult; model?: LabModel } = {}) {
  const run = vi.fn(async (_: readonly string[]) => options.result ?? OK)
  const clock = new VirtualClock()
  const model = options.model ?? buildModel(bookinfoSnapshot(), new TrafficHistory())
  const shell = new Shell({
    run,
    clock,
    model: () => model,
    view: options.view ?? 'workloads',
    rows: () => 24,
    copy: () => {},
  })
  const type = (text: string) => {
    for (const character of text) shell.press(character, character)
  }
  const press = (...keys: string[]) => {
    for (const key of keys) shell.press(key, '')
  }
  return { shell, run, clock, type, press, settle: () => clock.advance(0) }
}

test('arrows move over the rows that are shown and stop at the ends', () => {
  const { shell, press } = setUp()
  press('up')
  expect(currentView(shell.state).selectedId).toBe('default/curl-6b7f8c9d5-x7k2p')
  press('G')
  expect(currentView(shell.state).selectedId).toBe('default/reviews-v3-6b7f8c9d5-x7k2p')
  press('down', 'k')
  expect(currentView(shell.state).selectedId).toBe('default/reviews-v2-6b7f8c9d5-x7k2p')
})

test('a filter narrows while it is typed; esc clears it, then goes back', () => {
  const { shell, press, type } = setUp()
  press(':')
  type('no')
  press('enter', '/')
  type('n1')
  expect(
    shell.view.rows({
      model: buildModel(bookinfoSnapshot(), new TrafficHistory()),
      ui: shell.state,
      view: currentView(shell.state),
    }),
  ).toEqual(['n1'])
  press('enter', 'esc')
  expect(currentView(shell.state)).toMatchObject({ id: 'nodes', filter: '' })
  press('esc')
  expect(currentView(shell.state).id).toBe('workloads')
})

test.each([
  ['wl', 'workloads'],
  ['svc', 'services'],
  ['faul', 'faults'],
  ['map', 'map'],
])(':%s goes to %s', (name, id) => {
  const { shell, press, type } = setUp({ view: 'events' })
  press(':')
  type(name)
  press('enter')
  expect(currentView(shell.state).id).toBe(id)
})

test(':wl default /reviews sets scope and filter', () => {
  const { shell, press, type } = setUp({ view: 'map' })
  press(':')
  type('wl default /reviews')
  press('enter')
  expect(shell.state.namespace).toBe('default')
  expect(currentView(shell.state)).toMatchObject({ id: 'workloads', filter: 'reviews' })
})

test('an unknown view is a message, not a move', () => {
  const { shell, press, type } = setUp()
  press(':')
  type('nope')
  press('enter')
  expect(shell.state.message?.text).toContain('no view is called nope')
  expect(currentView(shell.state).id).toBe('workloads')
})

test('what changes the lab asks first, runs a command, and is listed', async () => {
  const { shell, run, press, settle } = setUp()
  press('ctrl-d')
  expect(shell.state.prompt).toMatchObject({ kind: 'confirm' })
  press('n')
  expect(run).not.toHaveBeenCalled()
  press('ctrl-d', 'y')
  await settle()
  expect(run).toHaveBeenCalledWith(['delete', 'pod/curl-6b7f8c9d5-x7k2p', '-n', 'default'])
  expect(shell.state.commands).toEqual(['ambient delete pod/curl-6b7f8c9d5-x7k2p -n default'])
})

test('read-only refuses what changes the lab', () => {
  const { shell, run, press } = setUp()
  press('ctrl-t', 'ctrl-d', 'r')
  expect(run).not.toHaveBeenCalled()
  expect(shell.state.message?.level).toBe('WARN')
})

test('a composed command can be finished and runs as typed', async () => {
  const { run, press, type, settle } = setUp()
  press('S')
  type('3')
  press('enter')
  await settle()
  expect(run).toHaveBeenCalledWith(['scale', 'deploy/curl', '-n', 'default', '--replicas', '3'])
})

test('a command that fails shows its first line as FAIL for five seconds', async () => {
  const { shell, press, clock, settle } = setUp({
    result: { code: 1, stdout: '', stderr: 'error: no such node\n  why\n' },
  })
  press('r')
  await settle()
  expect(shell.state.message).toMatchObject({ level: 'FAIL', text: 'no such node' })
  await clock.advance(5000)
  expect(shell.state.message).toBeUndefined()
})

test('quitting heals the faults that this session set, and no other', async () => {
  const { shell, run, press, type, settle } = setUp({ view: 'map' })
  press('!')
  type('fault add link.delay n1 n2 --delay 1s --for 1m')
  press('enter')
  await settle()
  expect(shell.state.ownFaults).toEqual(['f-1'])
  press('q')
  expect(shell.state.prompt).toEqual({ kind: 'quit', faults: 1 })
  press('y')
  expect(shell.state.exit).toBe(true)
  expect(await shell.healOwnFaults()).toEqual([])
  expect(run).toHaveBeenLastCalledWith(['fault', 'heal', 'f-1'])
})

test('q at the root leaves at once when nothing was broken here; ctrl-c twice always does', () => {
  const { shell, press } = setUp()
  press('q')
  expect(shell.state.exit).toBe(true)
})

test('ctrl-l asks before it heals what somebody else set', async () => {
  const { shell, run, press, settle } = setUp()
  press('ctrl-l')
  expect(shell.state.prompt).toMatchObject({ kind: 'confirm', argv: ['fault', 'heal', '--all'] })
  press('y')
  await settle()
  expect(run).toHaveBeenCalledWith(['fault', 'heal', '--all'])
})

test('of a pasted text the first line is taken', () => {
  const { shell, press } = setUp()
  press(':')
  shell.press('wl\nrm -rf', 'wl\nrm -rf')
  expect(shell.state.prompt).toMatchObject({ text: 'wl' })
})

test('what a command shows opens as text and can be left', async () => {
  const { shell, press, settle } = setUp({ result: { code: 0, stdout: 'Name: curl\nNode: n1\n', stderr: '' } })
  press('enter')
  await settle()
  expect(currentView(shell.state).id).toBe('output')
  expect(shell.state.outputs[0]).toMatchObject({ lines: ['Name: curl', 'Node: n1'], pending: false })
  press('esc')
  expect(currentView(shell.state).id).toBe('workloads')
})

test('words are split as a shell would', () => {
  expect(splitWords(`fault add "a b" 'c d' e`)).toEqual(['fault', 'add', 'a b', 'c d', 'e'])
})

test('no view binds one key twice, and every key of a view does something or says so', () => {
  for (const view of allViews()) {
    const keys = view.keys.flatMap((binding) => binding.keys)
    expect(new Set(keys).size, view.id).toBe(keys.length)
  }
  const global = GLOBAL_KEYS.flatMap(({ keys }) => keys as readonly string[])
  expect(new Set(global).size).toBe(global.length)
})

test.each(GLOBAL_KEYS.filter(({ id }) => !['quit', 'leave', 'heal-all'].includes(id)).flatMap(({ keys }) => [...keys]))(
  'the key %s does what the table says somewhere',
  (key) => {
    const { shell, press } = setUp({ view: 'services' })
    press(':')
    press('esc')
    shell.press('enter', '') // a second view, so that there is a way back
    const before = shell.state
    press('down', key)
    press(key)
    expect(shell.state).not.toBe(before)
  },
)
