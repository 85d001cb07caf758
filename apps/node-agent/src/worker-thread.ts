import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * Starts one of this program's threads. `<name>.worker` stands beside this file in the sources, and beside main.js in the
 * bundle, where this module may have ended up in `chunks/`.
 */
export function startWorkerThread(name: string, options: WorkerOptions = {}): Worker {
  const here = import.meta.url
  if (here.endsWith('.ts')) {
    // From the sources Node strips the types itself, and the libs are read as sources too.
    const execArgv = ['--conditions=@ambient-lab/source', '--disable-warning=ExperimentalWarning']
    return new Worker(new URL(`./${name}.worker.ts`, here), { ...options, name, execArgv })
  }
  return new Worker(new URL(`./${name}.worker.js`, here.replace(/\/chunks\/[^/]*$/, '/')), { ...options, name })
}
