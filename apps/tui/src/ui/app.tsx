import { Box, Text, useApp, useInput, useWindowSize } from 'ink'
import { useEffect, useState } from 'react'
import type { LabModel } from '../model/lab-model.ts'
import { renderFrame, type Size } from '../shell/frame.ts'
import type { Shell } from '../shell/shell.ts'
import type { Line } from '../shell/text.ts'
import type { Theme } from '../shell/theme.ts'
import { feedKeys } from './feed-keys.ts'

export interface AppProps {
  readonly shell: Shell
  readonly source: {
    readonly model: LabModel
    readonly changed: { on(listener: (model: LabModel) => void): () => void }
  }
  readonly theme: Theme
  readonly ascii: boolean
}

/** The terminal's side of the screen: size and keys in, lines out. What they mean is the shell's and the frame's. */
export function App({ shell, source, theme, ascii }: AppProps) {
  const { exit } = useApp()
  const size = useTerminalSize()
  const ui = useLatest(shell.state, (listener) => shell.changed.on(listener))
  const live = useLatest(source.model, (listener) => source.changed.on(listener))
  const model = useFrozen(live, ui.frozen)
  useInput((input, key) => feedKeys(shell, input, key))
  useEffect(() => {
    if (ui.exit) exit()
  }, [ui.exit, exit])
  const lines = renderFrame({ model, ui, view: shell.view, size, ascii })
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows}>
      {lines.map((line, row) => (
        // Rows of a screen have no identity but their place.
        <Row key={String(row)} line={line} theme={theme} />
      ))}
    </Box>
  )
}

function Row({ line, theme }: { readonly line: Line; readonly theme: Theme }) {
  return (
    <Text wrap="truncate">
      {line.map(({ text, role }, index) => (
        <Text key={String(index)} {...theme[role]}>
          {text}
        </Text>
      ))}
    </Text>
  )
}

function useTerminalSize(): Size {
  const { columns, rows } = useWindowSize()
  return { columns, rows }
}

function useLatest<T>(initial: T, subscribe: (listener: (value: T) => void) => () => void): T {
  const [value, setValue] = useState(initial)
  // Shell and source live as long as the screen.
  useEffect(() => subscribe(setValue), [subscribe])
  return value
}

/** The value as it was when freezing began. */
function useFrozen<T>(value: T, frozen: boolean): T {
  const [kept, setKept] = useState(value)
  useEffect(() => {
    if (!frozen) setKept(value)
  }, [value, frozen])
  return frozen ? kept : value
}
