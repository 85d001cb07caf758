// What we use of `yaml`, by name: a bundle that loads a CommonJS package lazily finds nothing but names that stand here.
export { parse, parseDocument } from 'yaml'
