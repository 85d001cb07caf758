import { spawn } from 'node:child_process'

/** Calls a URL so many times, each with the machine's real curl through one workload's capture; answers the codes. */
export async function curl(capture: { host: string; port: number }, url: string, times: number): Promise<string[]> {
  const codes: string[] = []
  for (let call = 0; call < times; call += 1) codes.push(await once(capture, url))
  return codes
}

function once({ host, port }: { host: string; port: number }, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('curl', [
      '-s',
      '-o',
      '/dev/null',
      '--max-time',
      '10',
      '-w',
      '%{http_code}',
      '--proxy',
      `socks5h://${host}:${port}`,
      url,
    ])
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', () => resolve(output))
  })
}
