import { defineTextView } from '../shell/text-view.ts'
import type { ViewContext } from '../shell/view.ts'

/** What a command printed: describe, logs, YAML. */
export default defineTextView({
  id: 'output',
  names: ['output'],
  title: (context) => outputOf(context)?.title ?? 'output',
  lines: (context) => outputOf(context)?.lines ?? ['this output is no longer kept'],
  command: (context) => `ambient ${outputOf(context)?.argv.join(' ') ?? ''}`,
  note: (context) => (outputOf(context)?.pending ? 'running' : ''),
})

function outputOf({ ui, view }: ViewContext) {
  return ui.outputs[Number(view.subject)]
}
