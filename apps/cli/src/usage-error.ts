/** What the user typed cannot be understood. */
export class UsageError extends Error {
  override name = 'UsageError'
}
