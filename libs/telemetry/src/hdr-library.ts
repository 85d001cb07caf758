// What we use of `hdr-histogram-js`, by name: a bundle that loads a CommonJS package lazily finds nothing but names that stand here.
export { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js'
