/** Every code that this lib gives an error, with what it means. */
export const TELEMETRY_ERRORS = {
  LOG_LEVEL_INVALID: 'a text is no log level, or no list of `scope:level`',
  HISTOGRAM_MALFORMED: 'a text is no compressed HDR histogram',
} as const
