#!/usr/bin/env node
import { VERSION } from './version.ts'

// Asked by scripts and by every `ambient up`: it loads nothing else.
if (process.argv.includes('--version')) process.stdout.write(`node-agent ${VERSION}\n`)
else await import('./run.ts').then(({ run }) => run(process.argv.slice(2)))
