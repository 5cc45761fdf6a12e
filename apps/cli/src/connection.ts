import { readFileSync } from 'node:fs'
import { loadConnection } from '@limbeck/platform'
import type { Command } from 'commander'
import { ApiClient } from './client.ts'

/** Where the API is and by which token: options of every command that asks it. */
export interface ConnectionOptions {
  api?: string
  tokenFile?: string
}

export const withConnection = (command: Command): Command =>
  command
    .option('--api <url>', "the API's address (LIMBECK_API; default: the stack of this checkout)")
    .option(
      '--token-file <file>',
      'a file that holds the token (default: LIMBECK_TOKEN, or the admin token of this checkout)',
    )

/** @throws ConfigError where nothing says which API, or no token is known for it. */
export function connect({ api, tokenFile }: ConnectionOptions): ApiClient {
  const connection = loadConnection({
    url: api,
    token: tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim(),
  })
  return new ApiClient(connection.url, connection.token)
}
