/**
 * The Kubernetes REST protocol over our Store, for kubectl, k9s and the lab's own clients.
 *
 * One request walks these files, in this order:
 *
 *  1. `api-server.ts`      the TLS listener; upgrades leave the walk here
 *  2. `request-walk.ts`    the walk itself, top to bottom
 *  3. `authentication.ts`  client certificate → user and groups
 *  4. `router.ts`          path and method → verb, type, name; pure
 *  5. `authorization.ts`   may this user do that
 *  6. `served-kinds.ts`    type → kind definition; what is not served is a 404
 *  7. `handlers/`          one file per verb. What a body may be is in `body.ts` (and `protobuf/`), what a patch does in
 *                          `patch/`; every write goes through `object-write.ts`: defaults, metadata, validation, admission
 *  8. `table/`             what the caller accepts: the object, its metadata, or a table for people
 *  9. `reply.ts`           status, warnings, body, and the log line
 *
 * Watches leave at 7 for `watch-stream.ts`. Refusals are thrown as `StatusError` and become a metav1 Status at 9.
 * What the rest of the control plane plugs in is in `hooks.ts`.
 */
export * from './api-server.ts'
export { ANONYMOUS, type User } from './authentication.ts'
export * from './hooks.ts'
export { applyConfiguration } from './patch/apply.ts'
export { strategicMergePatch } from './patch/strategic-merge-patch.ts'
export { formatRequestLine, type RequestLogEntry } from './request-log.ts'
export {
  badRequest,
  conflict,
  forbidden,
  internalError,
  invalid,
  type NamedResource,
  notFound,
  type Status,
  type StatusDetails,
  StatusError,
} from './status-error.ts'
