/**
 * PostgreSQL refuses to run as root. Started as root, the stack runs it as an ordinary user: the owner of existing
 * data, else the checkout's owner, else `nobody`. No account is created.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../config.ts'
import { StackError } from './errors.ts'
import type { StackFile } from './stack-file.ts'

export type Account = NonNullable<StackFile['postgres_account']>

const isRoot = (): boolean => process.getuid?.() === 0

function passwdEntry(match: (name: string, uid: number) => boolean) {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user = '', , uid = '', gid = ''] = line.split(':')
    if (user !== '' && match(user, Number(uid))) return { user, uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}

/** Whether this user can search `folder`, tried with the user's own rights, access lists included. */
function canReach(folder: string, account: { uid: number; gid: number }): boolean {
  const result = spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', folder], {
    uid: account.uid,
    gid: account.gid,
    cwd: '/',
    timeout: 10_000,
  })
  return result.status === 0
}

/** A new folder outside the checkout that root makes for `account`, and that no cleaner of old files visits. */
function makeOutsideFolder(account: { uid: number; gid: number }, stateDir: string): string {
  const parent = existsSync('/var/lib') ? '/var/lib' : '/var/tmp'
  const folder = mkdtempSync(join(parent, 'limbeck-'))
  writeFileSync(join(folder, 'BELONGS_TO'), ownerNote(stateDir))
  chownSync(folder, account.uid, account.gid)
  chmodSync(folder, 0o700)
  return folder
}

const ownerNote = (stateDir: string) => `PostgreSQL data of the Limbeck stack in ${stateDir}\n`

/** Removes such a folder, and only one that says it is this stack's. */
export function removeOutsideFolder(folder: string, stateDir: string): void {
  const note = join(folder, 'BELONGS_TO')
  if (existsSync(note) && readFileSync(note, 'utf8') === ownerNote(stateDir))
    rmSync(folder, { recursive: true, force: true })
}

/** Chooses the account at the stack's first start; `programs` is the folder of PostgreSQL's programs. @returns null where this process is not root. */
export function choosePostgresAccount(stateDir: string, programs: string): Account | null {
  if (!isRoot()) return null
  const owner = statSync(repositoryRoot).uid
  const entry =
    (owner === 0 ? undefined : passwdEntry((_, uid) => uid === owner)) ??
    passwdEntry((user) => user === 'nobody')
  if (entry === undefined)
    throw new StackError(
      'wrong_owner',
      'PostgreSQL refuses to run as root, and /etc/passwd has no user "nobody" to run it as; start the stack as an ordinary user',
    )
  const inside = join(stateDir, 'data')
  mkdirSync(inside, { recursive: true })
  const reachable = canReach(inside, entry) && canReach(programs, entry)
  return { ...entry, outside: reachable ? null : makeOutsideFolder(entry, stateDir) }
}

/** Checks at each start that the recorded account still fits. @throws StackError */
export function checkPostgresAccount(stateDir: string, account: Account | null): void {
  if (account !== null && !isRoot())
    throw new StackError(
      'wrong_owner',
      `the stack in ${stateDir} was first started as root, and its database belongs to "${account.user}"; start it as root again`,
    )
  if (account?.outside != null && !existsSync(account.outside))
    throw new StackError(
      'data_missing',
      `${account.outside}, which held the database of ${stateDir}, is gone; restore it, or remove ${join(stateDir, 'stack.json')} to start with an empty database`,
    )
}
