import { box } from '../widgets/box.ts'
import { parseFilter } from './filter.ts'
import { type Line, span } from './text.ts'
import { defineView, type ViewContext, type ViewDefinition, type ViewKey } from './view.ts'

export interface TextViewInit {
  readonly id: string
  readonly names: readonly string[]
  title(context: ViewContext): string
  lines(context: ViewContext): readonly string[]
  readonly keys?: readonly ViewKey[]
  command(context: ViewContext): string
  readonly note?: (context: ViewContext) => string
}

/** A view that is text to scroll through and to search: describe, logs, YAML, help. */
export function defineTextView(init: TextViewInit): ViewDefinition {
  const shown = (context: ViewContext) => {
    const filter = parseFilter(context.view.filter)
    return init.lines(context).filter((text) => filter.matches({ text, value: () => undefined }))
  }
  return defineView({
    id: init.id,
    names: init.names,
    title: init.id,
    keys: init.keys ?? [],
    rows: () => [],
    render: (context, screen) => {
      const lines = shown(context)
      const first = Math.min(context.view.scroll, Math.max(0, lines.length - (screen.height - 2)))
      const visible: Line[] = lines.slice(first, first + screen.height - 2).map((text) => [span(` ${text}`)])
      const note =
        init.note?.(context) ||
        (lines.length > screen.height - 2 ? `${first + 1}-${first + visible.length} of ${lines.length}` : '')
      return box(
        visible,
        { title: init.title(context), ...(note ? { note } : {}), width: screen.width, height: screen.height },
        screen.glyphs,
      )
    },
    command: init.command,
  })
}
