export type * from './link/message-link.ts'
export type * from './messages.ts'
export * from './resources/index.ts'
