import type { HeaderMutation } from '@ambient-lab/xds'
import type { HeaderMap } from '../../http1/index.ts'
import { Format } from '../format-commands.ts'
import type { RequestRecord } from '../request-record.ts'

/** Changes headers: remove, set, add, in that order. */
export interface CompiledHeaderMutation {
  apply(headers: HeaderMap, record: RequestRecord): void
  /** What is set or added as `:authority` or Host: the authority is no header to a proxy. */
  readonly authority: string | undefined
}

interface Change {
  readonly name: string
  readonly format: Format
  readonly constant: string | undefined
}

/**
 * @returns undefined for a mutation that changes nothing
 * @throws CodedError INVALID_FORMAT for a value with an unknown command
 */
export function compileHeaderMutation(mutation: HeaderMutation | undefined): CompiledHeaderMutation | undefined {
  const { remove = [], set = [], add = [] } = mutation ?? {}
  if (remove.length + set.length + add.length === 0) return undefined
  const isAuthority = ({ name }: { name: string }) => name === 'host' || name === ':authority'
  const authority = [...set, ...add].findLast(isAuthority)?.value
  const removed = remove.map((name) => name.toLowerCase()).filter((name) => !name.startsWith(':') && name !== 'host')
  const sets = set.filter((value) => !isAuthority(value)).map(compileChange)
  const adds = add.filter((value) => !isAuthority(value)).map(compileChange)
  return {
    authority,
    apply(headers, record) {
      for (const name of removed) headers.delete(name)
      for (const change of sets) headers.set(change.name, textOf(change, record))
      for (const change of adds) headers.append(change.name, textOf(change, record))
    },
  }
}

function compileChange({ name, value }: { readonly name: string; readonly value: string }): Change {
  const format = new Format(value, '')
  return { name: name.toLowerCase(), format, constant: format.constant }
}

/** A value that a client chose must not end a line. */
function textOf({ format, constant }: Change, record: RequestRecord): string {
  return constant ?? format.render(record).replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '')
}
