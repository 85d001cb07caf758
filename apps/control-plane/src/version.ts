/**
 * This program's version; agents of another minor version are refused. A constant and not a read of package.json: it is
 * needed before anything else, and from wherever the bundler puts this module.
 */
export const VERSION = '0.1.0'
