/** Programs for `node -e`, as a user's container might run them. */
export const PROGRAMS = {
  /** Listens on PORT and tells its environment to whoever asks. */
  server: `
    require('node:http').createServer((q, r) => r.end(JSON.stringify(process.env))).listen(process.env.PORT, '127.0.0.1');
    console.log('pid ' + process.pid)`,
  /** Starts a child of its own that never ends, then lives on. */
  parent: `
    const { spawn } = require('node:child_process');
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    console.log('child ' + child.pid);
    setInterval(() => {}, 1000)`,
  /** Does not listen to SIGTERM. */
  stubborn: `process.on('SIGTERM', () => console.log('no')); console.log('up'); setInterval(() => {}, 1000)`,
}
