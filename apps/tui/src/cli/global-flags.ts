import type { Flag } from './command.ts'

/** Flags that every command takes. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  {
    name: 'lab',
    short: 'L',
    kind: 'text',
    value: 'NAME',
    summary: 'which lab; else the only running one, else the one of this folder',
    group: 'global',
  },
  {
    name: 'context',
    kind: 'text',
    value: 'FILE',
    summary: 'a kubeconfig, for a lab on another machine',
    group: 'global',
  },
  { name: 'quiet', short: 'q', kind: 'boolean', summary: 'no talk on stderr; the answer stays', group: 'global' },
  {
    name: 'verbose',
    short: 'v',
    kind: 'count',
    summary: 'more talk on stderr; twice for causes of errors',
    group: 'global',
  },
  {
    name: 'color',
    kind: 'text',
    value: 'WHEN',
    choices: ['auto', 'always', 'never'],
    default: 'auto',
    summary: 'colour',
    group: 'global',
  },
  { name: 'no-input', kind: 'boolean', summary: 'never ask anything', group: 'global' },
  { name: 'help', short: 'h', kind: 'boolean', summary: 'this text', group: 'global' },
]

export const NAMESPACE_FLAG: Flag = {
  name: 'namespace',
  short: 'n',
  kind: 'text',
  value: 'NS',
  default: 'default',
  summary: 'namespace',
  group: 'selection',
}

/** `-n` for lists, where several namespaces or all of them make sense. */
export const NAMESPACE_FLAGS: readonly Flag[] = [
  { ...NAMESPACE_FLAG, value: 'NS[,NS]', summary: 'namespaces' },
  { name: 'all-namespaces', short: 'A', kind: 'boolean', summary: 'all namespaces', group: 'selection' },
]

export const SELECTOR_FLAG: Flag = {
  name: 'selector',
  short: 'l',
  kind: 'text',
  value: 'EXPR',
  summary: 'labels, in kubectl’s grammar: app=web,tier!=db',
  group: 'selection',
}

export const OUTPUT_FLAGS: readonly Flag[] = [
  {
    name: 'output',
    short: 'o',
    kind: 'text',
    value: 'FORMAT',
    default: 'table',
    summary: 'table wide json yaml jsonl name jsonpath=… custom-columns=…',
    group: 'output',
  },
  { name: 'no-headers', kind: 'boolean', summary: 'tables without their first line', group: 'output' },
]

/** For commands whose answer is one document. */
export const DOCUMENT_FLAG: Flag = {
  name: 'output',
  short: 'o',
  kind: 'text',
  value: 'FORMAT',
  default: 'table',
  choices: ['table', 'json'],
  summary: 'table json',
  group: 'output',
}

export const TIMEOUT_FLAG: Flag = {
  name: 'timeout',
  kind: 'duration',
  value: 'DURATION',
  default: '60s',
  summary: 'how long to wait at most',
}

export const DRY_RUN_FLAG: Flag = {
  name: 'dry-run',
  kind: 'boolean',
  summary: 'say what would be done, and do nothing',
}
