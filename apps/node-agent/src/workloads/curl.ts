import { defineWorkload } from '../hosting/workload.ts'

/** The samples' client pods (`curl`, `sleep`): alive, and waiting for somebody to exec into them. */
export default defineWorkload({
  name: 'curl',
  images: ['curlimages/curl', 'curl', 'sleep', 'governmentpaas/curl-ssl', 'pstauffer/curl', 'busybox', 'alpine'],
  create: () => ({}),
})
