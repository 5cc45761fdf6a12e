/** What the user typed cannot be understood. */
export class UsageError extends Error {
  override name = 'UsageError'
  /** Exit status of the command. */
  readonly status: number

  constructor(message: string, status = 1) {
    super(message)
    this.status = status
  }
}
