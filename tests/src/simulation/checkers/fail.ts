export type CheckerName = 'bytes' | 'policy' | 'closed' | 'records' | 'convergence' | 'identity' | 'crash'

/** Reports a promise that was not kept; the run ends at the next chance. */
export type Fail = (checker: CheckerName, what: string) => void
