/** `npm run tidy [-- --fix]`: the repository's own rules. `--fix` rewrites the catalogues. */
import catalogues from './rules/catalogues.ts'
import imports from './rules/imports.ts'
import manifests from './rules/manifests.ts'
import sizes from './rules/sizes.ts'
import text from './rules/text.ts'

const fix = process.argv.includes('--fix')
const findings = [...imports(), ...manifests(), ...catalogues({ fix }), ...text(), ...sizes()]
for (const { where, what } of findings) console.error(`${where}: ${what}`)
process.exitCode = findings.length > 0 ? 1 : 0
