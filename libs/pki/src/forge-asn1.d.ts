/** The typings know node-forge as a whole only; importing the one module keeps start-up at 5 ms instead of 50. */
declare module 'node-forge/lib/asn1.js' {
  type Asn1Module = typeof import('node-forge').asn1
  interface FromDerOptions {
    readonly strict: boolean
    readonly parseAllBytes: boolean
    readonly decodeBitStrings: boolean
  }
  const asn1: Omit<Asn1Module, 'fromDer'> & {
    fromDer(bytes: string, options: FromDerOptions): import('node-forge').asn1.Asn1
  }
  export default asn1
}
