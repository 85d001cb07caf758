/** Rules of one policy: Istio's own bound (AuthorizationPolicy `rules`, maxItems). */
export const POLICY_RULES_MAX = 512

/** Clauses and matches of one policy, all rules together; beyond it a push could stall every new connection. */
export const POLICY_MATCHES_MAX = 16_384

/** Values of one policy, all matches together. */
export const POLICY_VALUES_MAX = 65_536

/** Rules of one action that are simply asked one after the other; an index over fewer costs more than it saves. */
export const INDEXED_RULES_MIN = 3

/** Characters of one regular expression: what the Gateway API allows a header's value. */
export const REGEX_PATTERN_MAX = 4096

/** Steps of a compiled regular expression; a match costs at most that many for each character of the text. */
export const REGEX_PROGRAM_MAX = 10_000

/** Regular expressions that are kept compiled. */
export const REGEX_CACHE_MAX = 1000

/** Characters of one CEL expression: planning takes time in proportion to their square. */
export const CEL_EXPRESSION_MAX = 4096

/** Macros over lists and maps (`all`, `exists`, `map`, …) in one another: each multiplies the time of an evaluation. */
export const CEL_COMPREHENSION_DEPTH_MAX = 1
