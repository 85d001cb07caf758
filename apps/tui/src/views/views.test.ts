import { describe, expect, test } from 'vitest'
import { bookinfoSnapshot, withDeadNode } from '../model/bookinfo.fixture.ts'
import { buildModel, EMPTY_MODEL, type LabModel } from '../model/lab-model.ts'
import { TrafficHistory } from '../model/traffic-history.ts'
import { renderFrame, type Size } from '../shell/frame.ts'
import { freshView, initialState, type UiState } from '../shell/navigation.ts'
import { allViews, viewById } from '../shell/registry.ts'
import { lineWidth, plainText } from '../shell/text.ts'

/** Two seconds of Bookinfo, so that rates are known. */
function bookinfo(): LabModel {
  const first = buildModel(bookinfoSnapshot(0), new TrafficHistory())
  const second = buildModel(bookinfoSnapshot(1), first.history)
  return buildModel(bookinfoSnapshot(2), second.history)
}

function stateOf(view: string): UiState {
  const subject =
    view === 'service' ? 'default/reviews' : view === 'help' ? 'workloads' : view === 'output' ? '0' : undefined
  const state = initialState(view)
  return {
    ...state,
    stack: [freshView(view, subject)],
    outputs: [{ title: 'describe curl', argv: ['describe', 'pod/curl'], lines: ['Name: curl'], pending: false }],
    commands: ['ambient fault add link.delay n1 n2 --delay 120ms --for 3m'],
  }
}

function frame(
  view: string,
  size: Size,
  options: { model?: LabModel; ascii?: boolean; ui?: Partial<UiState> } = {},
): string[] {
  const lines = renderFrame({
    model: options.model ?? bookinfo(),
    ui: { ...stateOf(view), ...options.ui },
    view: viewById(view)!,
    size,
    ascii: options.ascii ?? false,
  })
  expect(lines).toHaveLength(size.rows)
  for (const line of lines) expect(lineWidth(line), plainText(line)).toBe(size.columns)
  return lines.map((line) => plainText(line).trimEnd())
}

const S = { columns: 80, rows: 24 }
const L = { columns: 140, rows: 40 }

describe.each(allViews().map(({ id }) => id))('%s', (view) => {
  test.each([S, L])('looks the same in $columns×$rows', async (size) => {
    await expect(`${frame(view, size).join('\n')}\n`).toMatchFileSnapshot(
      `__frames__/${view}.${size.columns}x${size.rows}.txt`,
    )
  })

  test('has no glyph beyond ASCII when told so', () => {
    expect(
      frame(view, S, { ascii: true })
        .join('\n')
        .replace(/[▁▂▃▄▅▆▇█]/g, ''),
    ).toMatch(/^[\x20-\x7e\n]*$/)
  })

  test('draws an empty lab', () => {
    frame(view, S, { model: EMPTY_MODEL })
    frame(view, L, { model: EMPTY_MODEL })
  })

  test.each([80, 99, 100, 139, 140, 200, 300])('fills %i columns exactly, whatever the rows', (columns) => {
    for (const rows of [20, 23, 24, 40, 80]) frame(view, { columns, rows })
  })
})

test('a terminal below the minimum is told its size and the one needed', () => {
  const lines = frame('map', { columns: 40, rows: 10 })
  expect(lines.join('').trim()).toBe('40x10 is too small: 80x20 needed')
})

test('a killed node is GONE, in its row and in the first line', () => {
  const model = buildModel(withDeadNode(bookinfoSnapshot()), new TrafficHistory())
  const lines = frame('nodes', S, { model })
  expect(lines[0]).toContain('2/3 nodes')
  expect(lines.find((line) => line.includes('n3'))).toMatch(/GONE/)
})

test('a silent control plane is named with its age', () => {
  const model = { ...bookinfo(), staleMs: 12_400 }
  expect(frame('workloads', S, { model }).at(-2)).toContain('config stale 12s')
})

test('a filter with a bad pattern says where, and the table stands', () => {
  const ui = { stack: [{ ...freshView('workloads'), filter: 'a(b' }] }
  const lines = frame('workloads', S, { ui })
  expect(lines[2]).toContain('filter: not a regular expression at 2')
  expect(lines.join('\n')).toContain('curl-6b7f8c9d5')
})

test('wide names keep the edges straight', () => {
  const snapshot = bookinfoSnapshot()
  const [first, ...rest] = snapshot.pods
  const pods = [
    { ...first!, metadata: { ...first!.metadata, name: '日本語のポッド名前がとても長い場合のテスト-123456' } },
    ...rest,
  ]
  frame('workloads', S, { model: buildModel({ ...snapshot, pods }, new TrafficHistory()) })
})
