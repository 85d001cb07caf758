import type { Resource } from '@ambient-lab/api'
import { usageError } from '../cli/usage-error.ts'
import { evaluatePath } from '../output/json-path.ts'

export interface WaitCondition {
  /** Waits for the object to be gone, and `holds` is not asked. */
  readonly gone: boolean
  holds(object: Resource): boolean
}

/** kubectl's `--for`: `delete`, `condition=Ready`, `condition=Ready=False`, `jsonpath={.a.b}=c`. @throws CodedError USAGE */
export function parseCondition(text: string): WaitCondition {
  if (text === 'delete') return { gone: true, holds: () => false }
  const condition = /^condition=([^=]+)(?:=(.+))?$/.exec(text)
  if (condition) {
    const [, type = '', status = 'True'] = condition
    return { gone: false, holds: (object) => hasCondition(object, type.toLowerCase(), status.toLowerCase()) }
  }
  const path = /^jsonpath=(\{[^}]*\}|[^=]+)(?:=(.*))?$/.exec(text)
  if (!path)
    throw usageError(`--for "${text}" is no condition`, 'condition=Ready, delete, or jsonpath={.status.phase}=Running')
  const [, where = '', wanted] = path
  evaluatePath(where, {})
  return {
    gone: false,
    holds: (object) => {
      const values = evaluatePath(where, object).map(String)
      return wanted === undefined ? values.length > 0 : values.includes(wanted)
    },
  }
}

function hasCondition(object: Resource, type: string, wanted: string): boolean {
  const { conditions } = (object.status ?? {}) as { conditions?: readonly { type: string; status: string }[] }
  return (
    conditions?.some((entry) => entry.type.toLowerCase() === type && entry.status.toLowerCase() === wanted) ?? false
  )
}
