/** Failures of the embedded stack that a user can act on; the message is complete as it stands. */
export class StackError extends Error {
  override name = 'StackError'
  readonly code: StackErrorCode

  constructor(code: StackErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export type StackErrorCode =
  | 'port_in_use'
  | 'disk_full'
  | 'binary_missing'
  | 'not_answering'
  | 'wrong_password'
  | 'wrong_owner'
  | 'wrong_setting'
  | 'data_missing'
  | 'other_settings'
  | 'not_running'
  | 'supervisor_silent'

/** What a probe throws while a server is alive and still on its way up, as PostgreSQL in crash recovery. */
export class StillStarting extends Error {
  override name = 'StillStarting'
}
