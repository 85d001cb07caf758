// What the supervising process needs, apart from the rest: it starts every other process of a lab, so it must start fast.
export { LabFolder } from '../lab-folder.ts'
export { Supervisor, type SupervisorInit } from './supervisor.ts'
