import type { LabModel } from '../model/lab-model.ts'
import type { BoxGlyphs } from '../widgets/box.ts'
import type { UiState, ViewState } from './navigation.ts'
import type { Line } from './text.ts'

/** What a key of a view does; carried out by the shell. Views decide, the shell acts. */
export type Effect =
  /** Runs an `ambient` command; `confirm` is asked first. The command is what the shell would be given. */
  | { readonly do: 'run'; readonly argv: readonly string[]; readonly confirm?: string }
  /** Lets the person finish a command line. */
  | { readonly do: 'compose'; readonly text: string }
  /** Shows what a command prints. */
  | { readonly do: 'show'; readonly argv: readonly string[]; readonly title: string }
  | { readonly do: 'go'; readonly view: string; readonly subject?: string }
  | { readonly do: 'say'; readonly level: 'ok' | 'WARN' | 'FAIL'; readonly text: string }

export interface KeyBinding {
  /** Stable, for rebinding and for the generated page. */
  readonly id: string
  /** As `key-name.ts` spells them: `a`, `S`, `ctrl-k`, `enter`, `shift-left`. */
  readonly keys: readonly string[]
  /** In row 2: `<a>dd`. Absent: only in help. */
  readonly hint?: string
  readonly help: string
  /** Changes the lab: hidden when read-only. */
  readonly danger?: boolean
}

export interface ViewKey extends KeyBinding {
  act(context: ViewContext): Effect | undefined
}

export interface ViewContext {
  readonly model: LabModel
  readonly ui: UiState
  /** The state of the view that is drawn or that got the key. */
  readonly view: ViewState
}

export interface Screen {
  readonly width: number
  /** Rows between the key line and the crumbs. */
  readonly height: number
  readonly glyphs: BoxGlyphs
  readonly ascii: boolean
}

export interface ViewDefinition {
  readonly id: string
  /** What `:` takes; the first is shown in the crumbs. */
  readonly names: readonly string[]
  readonly title: string
  readonly keys: readonly ViewKey[]
  /** Ids in the order shown, after filter and sort: what the arrows move over. */
  rows(context: ViewContext): readonly string[]
  /** Columns that can be sorted by, in order. */
  readonly sortColumns?: readonly { readonly key: string; readonly sortKey?: string }[]
  /** Exactly `screen.height` lines of `screen.width` columns. Pure. */
  render(context: ViewContext, screen: Screen): Line[]
  /** The command that gives this view's data. */
  command(context: ViewContext): string
  /** Key facts for row 1. */
  facts?(context: ViewContext): string
  /** At the right of the crumbs: `7/7 shown`. */
  status?(context: ViewContext): string
}

/** Declares a view; the file that default-exports it in `views/` is its registration. */
export function defineView(view: ViewDefinition): ViewDefinition {
  return view
}
