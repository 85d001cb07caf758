// What we use of `yaml`, by name: a bundle that loads a CommonJS package lazily finds nothing but names that stand here.
export { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, parseAllDocuments, stringify, visit } from 'yaml'
