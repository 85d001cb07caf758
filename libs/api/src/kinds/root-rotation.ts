import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { boolean, object, oneOf, string } from '../schema.ts'

/** The three steps between two roots, in their order. */
export const ROOT_ROTATION_STEPS = ['Trust', 'Sign', 'Retire'] as const

export type RootRotationStep = (typeof ROOT_ROTATION_STEPS)[number]

export interface RootRotationSpec {
  /** `Trust`: a new root is made, and trusted; `Sign`: it signs; `Retire`: the others are trusted no longer. */
  readonly step: RootRotationStep
  /** Although somebody would be cut off. @default false */
  readonly force?: boolean
}

export interface RootRotationStatus {
  /** The one that signs after this step; a TrustRoot. */
  readonly signing: string
  /** All that are trusted after this step. */
  readonly trusted: readonly string[]
}

/** One step of a rotation of the mesh's root: create-only. It ends in the Secret `cacerts`, where istiod looks as well. */
export type RootRotation = Resource<RootRotationSpec, RootRotationStatus>

export default defineKind<RootRotation>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'RootRotation',
  plural: 'rootrotations',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object({ step: oneOf(...ROOT_ROTATION_STEPS), force: boolean({ default: false }) }, { required: ['step'] }),
      status: object({ signing: string() }, { open: true }),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'STEP', value: ({ spec }) => spec?.step ?? '' },
    { title: 'SIGNING', value: ({ status }) => status?.signing ?? '' },
  ],
})
