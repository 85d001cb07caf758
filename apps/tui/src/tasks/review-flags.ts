import type { Flag } from '../cli/command.ts'
import { DOCUMENT_FLAG, NAMESPACE_FLAG } from '../cli/global-flags.ts'

/** What both `why` and `can` ask with. */
export const REVIEW_FLAGS: readonly Flag[] = [
  { name: 'request', short: 'X', kind: 'text', value: 'METHOD', default: 'GET', summary: 'method of the request' },
  { name: 'path', kind: 'text', value: 'PATH', default: '/', summary: 'path of the request' },
  { name: 'header', short: 'H', kind: 'list', value: 'NAME:VALUE', summary: 'header of the request; more than once' },
  { name: 'port', kind: 'number', value: 'PORT', summary: 'port of the target; else its first' },
  NAMESPACE_FLAG,
  DOCUMENT_FLAG,
]
