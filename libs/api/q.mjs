import { parseManifest, parseYaml, loadManifest } from '@ambient-lab/api'
import {readFileSync} from 'node:fs'
const root='/work/shared/corpus/istio-samples/'
const cases=JSON.parse(readFileSync(root+'cases.json','utf8'))
let t=performance.now(), n=0
for (const c of cases.items) { try { const m=await parseManifest(readFileSync(root+c.file,'utf8'),{file:c.file, defaultNamespace:'default'}); n+=m.resources.length; if (m.problems.length||m.warnings.length) console.log(c.id, m.problems, m.warnings); if (m.resources.length+m.unknownKinds.length!==c.resources.length) console.log('COUNT',c.id,m.resources.length,m.unknownKinds.length,c.resources.length)} catch(e){console.log(c.id,e.message)} }
console.log(n, performance.now()-t)
for (const [name,text] of Object.entries({deepflow:'['.repeat(100000), deepblock: Array.from({length:3000},(_,i)=>' '.repeat(i)+'a:').join('\n'), dashes:'- '.repeat(5000), laughs:'a: &a [x,x,x,x,x,x,x,x,x]\n'+'bcdefghij'.split('').map((c,i)=>`${c}: &${c} [${Array(9).fill('*'+'abcdefghij'[i]).join(',')}]`).join('\n'), qm:'? '.repeat(5000), bad:'kind: x\n  a: [\n', tab:'a:\n\t- b', tagbomb:'!'.repeat(100000), anchors:'&a '.repeat(10000), quotes:'"'.repeat(100001), long:'a: '+'x'.repeat(7e6), docs:'---\n'.repeat(200000), manykeys:Array.from({length:100000},(_,i)=>`k${i}: 1`).join('\n')})) { const t=performance.now(); let r; try { r=await parseYaml(text) ;r='ok'} catch(e){ r=e.code+' '+e.name+' '+e.message.slice(0,150)} console.log(name, (performance.now()-t).toFixed(0), r) }
