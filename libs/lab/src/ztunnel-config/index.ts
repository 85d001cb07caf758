export * from './dump.ts'
export * from './sections.ts'
export * from './waypoint-list.ts'
export * from './waypoint-status.ts'
