export { type DestinationReviewInit, reviewDestination } from './destination-review.ts'
export { reviewSource, type SourceReviewInit } from './source-review.ts'
