import { spawn } from 'node:child_process'
const base = '/work/wt/bench/tools/bench/src/l4/'
const { startAmbientPair } = await import(base + 'ambient.ts')
const { haproxy } = await import(base + 'haproxy.ts')
const { BenchCertificates } = await import(base + 'certificates.ts')
const { pinSelf, planCores } = await import(base + 'cores.ts')
const load = await import(base + 'load.ts')
const [work = 'up1', rounds = '3', perf = '', flags = ''] = process.argv.slice(2)
const cores = planCores(); pinSelf(cores.load)
const certificates = new BenchCertificates()
const med = (a) => a.sort((x, y) => x - y)[a.length >> 1]
const res = { ambient: [], haproxy: [] }
for (let r = 0; r < Number(rounds); r++) for (const who of (perf ? ['ambient'] : ['ambient', 'haproxy'])) {
  const kind = work.startsWith('up') ? 'sink' : work.startsWith('down') ? 'source' : 'echo'
  const backend = new load.Backend(kind)
  const init = { certificates, backendPort: await backend.listen(), cores }
  const pair = who === 'ambient' ? await startAmbientPair(init, flags ? flags.split(' ') : []) : await haproxy.start(init)
  let p
  if (perf) setTimeout(() => { const pids = process.getActiveResourcesInfo && pair.pids; p = spawn('sh', ['-c', `perf record -F 2500 -g -o ${perf} -p $(pgrep -P ${process.pid} | tr '\\n' ',' | sed 's/,$//') -- sleep 3`], { stdio: 'ignore' }) }, 1200)
  const cpu = () => pair.cpuSeconds()
  const n = Number(work.slice(-1)) || 1
  let m
  if (kind === 'sink') m = await load.upload(pair.door, backend, n, perf ? 4 : 2, cpu)
  else if (kind === 'source') m = await load.download(pair.door, n, perf ? 4 : 2, cpu)
  else if (work.startsWith('conn')) m = await load.connections(pair.door, 32, 3, cpu)
  else { const c = cpu(); const t = await load.pingPong(pair.door, 1024, 6000); m = { count: 6000, seconds: t[t.length >> 1], cpuSeconds: cpu() - c } }
  const unit = kind === 'echo' ? 1e-6 * 1 : 1 / 2 ** 30
  res[who].push(kind === 'echo' ? m.cpuSeconds / m.count * 1e6 : m.cpuSeconds / m.count * 2 ** 30)
  console.log(who, (kind === 'echo' ? (work.startsWith('conn') ? m.count / m.seconds : m.seconds) : m.count / 125e6 / m.seconds).toFixed(3), res[who].at(-1).toFixed(3))
  pair.stop(); backend.close()
}
console.log(work, 'cost ambient', med(res.ambient)?.toFixed(2), 'haproxy', med(res.haproxy)?.toFixed(2), 'ratio', (med(res.ambient) / med(res.haproxy)).toFixed(2))
certificates[Symbol.dispose](); setTimeout(() => process.exit(), 1500)
