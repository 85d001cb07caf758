/**
 * This program's version; an agent and a control plane of different minor versions do not talk. A constant and not a
 * read of package.json: it is needed before anything else, and from wherever the bundler puts this module.
 */
export const VERSION = '0.1.0'
