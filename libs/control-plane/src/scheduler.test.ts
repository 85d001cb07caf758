import { describe, expect, it } from 'vitest'
import { type CandidateNode, choosePlacement, type SchedulingRequest } from './scheduler.ts'

const ANY: SchedulingRequest = { nodeSelector: {} }

function node(name: string, fields: Partial<CandidateNode> = {}): CandidateNode {
  return { name, labels: {}, available: true, unschedulable: false, pods: 0, podsMax: 10, siblings: 0, ...fields }
}

describe('placement of a pod', () => {
  it.each<[string, SchedulingRequest, CandidateNode[], string]>([
    ['the emptiest node', ANY, [node('a', { pods: 3 }), node('b', { pods: 1 })], 'b'],
    ['the first by name among equals', ANY, [node('b'), node('a')], 'a'],
    ['away from its siblings, even to a fuller node', ANY, [node('a', { siblings: 1 }), node('b', { pods: 5 })], 'b'],
    ['not on a cordoned node', ANY, [node('a', { unschedulable: true }), node('b', { pods: 9 })], 'b'],
    ['not on a node that is gone', ANY, [node('a', { available: false }), node('b', { pods: 9 })], 'b'],
    ['not on a full node', ANY, [node('a', { pods: 10, podsMax: 10 }), node('b', { pods: 9, siblings: 4 })], 'b'],
    [
      'where its selector points',
      { nodeSelector: { disk: 'ssd' } },
      [node('a'), node('b', { labels: { disk: 'ssd' } })],
      'b',
    ],
    [
      'where it says, cordoned or not',
      { nodeName: 'b', nodeSelector: {} },
      [node('a'), node('b', { unschedulable: true })],
      'b',
    ],
  ])('%s', (_, request, nodes, expected) => {
    expect(choosePlacement(request, nodes)).toEqual({ node: expected })
  })

  it.each<[string, SchedulingRequest, CandidateNode[], string]>([
    ['no node', ANY, [], 'no nodes available to schedule pods'],
    [
      'every node for its own reason',
      { nodeSelector: { disk: 'ssd' } },
      [node('a'), node('b', { unschedulable: true }), node('c', { available: false }), node('d')],
      "0/4 nodes are available: 1 node(s) were not ready, 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
    ],
    [
      'a node of that name is not there',
      { nodeName: 'x', nodeSelector: {} },
      [node('a')],
      "0/1 nodes are available: 1 node(s) didn't match the requested node name.",
    ],
  ])('refused: %s', (_, request, nodes, message) => {
    expect(choosePlacement(request, nodes)).toEqual({ message })
  })
})
