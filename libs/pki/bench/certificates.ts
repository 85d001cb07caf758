/** What one certificate costs: `node --conditions=@ambient-lab/source libs/pki/bench/certificates.ts`. */
import { systemClock } from '@ambient-lab/std'
import { CertificateAuthority, createCsr, generateKeyPair, parseCsr, verifyChain, X509Svid } from '../src/index.ts'

const RUNS = 7
const REPEATS = 1000

const authority = CertificateAuthority.create({ clock: systemClock })
const keys = generateKeyPair()
const uri = 'spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews'
const csr = createCsr(keys, { uri })
const request = parseCsr(csr)
const { chainPem } = authority.signWorkload(csr)
const svidInit = { chainPem, privateKey: keys.privateKey, bundle: authority.bundle }
const { chain } = new X509Svid(svidInit)

const work: Record<string, () => unknown> = {
  'generate a key': () => generateKeyPair(),
  'create a request': () => createCsr(keys, { uri }),
  'parse and verify a request': () => parseCsr(csr),
  'sign a parsed request': () => authority.signWorkload(request),
  'parse, verify and sign': () => authority.signWorkload(csr),
  'read an SVID': () => new X509Svid(svidInit),
  'verify a chain of three': () => verifyChain(chain, authority.bundle, systemClock.now()),
}

for (const [name, run] of Object.entries(work)) {
  const durations = Array.from({ length: RUNS }, () => {
    const startMs = systemClock.monotonic()
    for (let repeat = 0; repeat < REPEATS; repeat += 1) run()
    return (1000 * (systemClock.monotonic() - startMs)) / REPEATS
  }).sort((a, b) => a - b)
  console.log(
    `${name.padEnd(28)} ${durations[RUNS >> 1]!.toFixed(0).padStart(5)} µs (median of ${RUNS}; ${durations[0]!.toFixed(0)} at best)`,
  )
}
