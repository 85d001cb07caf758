/** How a text is matched; exactly one way. A regex is RE2's and matches the whole text. */
export type StringMatcher =
  | { readonly exact: string; readonly ignoreCase?: boolean }
  | { readonly prefix: string; readonly ignoreCase?: boolean }
  | { readonly suffix: string; readonly ignoreCase?: boolean }
  | { readonly contains: string; readonly ignoreCase?: boolean }
  | { readonly regex: string }

/** A header, or a query parameter. Several values of one header are compared joined by commas. */
export interface NamedMatcher {
  /** Of a header: lower case. */
  readonly name: string
  /** Absent: it has to be there, whatever its value. */
  readonly value?: StringMatcher
  /** @default false */
  readonly invert?: boolean
}
