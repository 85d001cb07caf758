// Beside the index: it drives labs of real processes, which few tests need.
export * from './ambient-lab.ts'
export * from './echo-connection.ts'
export * from './keep-alive-connection.ts'
export * from './load.ts'
export * from './load-world.ts'
export * from './request-load.ts'
export * from './socks5-dial.ts'
