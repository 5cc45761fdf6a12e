import { pingStore, type Store } from './store.ts'

/** SQLSTATEs that no waiting mends, with what to do about them. */
const FAULTS: Readonly<Record<string, string>> = {
  '28P01': 'refuses the password; check the user and password in DATABASE_URL',
  '28000': "refuses the user; check DATABASE_URL and the server's pg_hba.conf",
  '3D000': 'has no database of that name; create it, or check DATABASE_URL',
  '42P01': 'holds no schema of this project; apply the migrations (./limbeck up does)',
}

/** Why the database cannot work with these settings, in a sentence. Null: it works, or does not answer, which may pass. */
export async function databaseFault(store: Store): Promise<string | null> {
  try {
    await pingStore(store)
    return null
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    const advice = FAULTS[code ?? '']
    return advice === undefined ? null : `the database ${advice} (${message})`
  }
}
